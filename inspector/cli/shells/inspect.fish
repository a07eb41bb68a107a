# Completion of `inspect` for fish, as `inspect completion fish` prints it.
# Words are printed for fish, which quotes them; nothing here is evaluated.
function __inspect_complete
    set -l command (commandline -opc)[1]
    set -l typed (commandline -ct)
    set -l line (commandline -cp | string collect)
    for told in (env _INSPECT_COMPLETE=fish_complete _INSPECT_LINE="$line" $command 2>/dev/null </dev/null)
        set -l fields (string split -m 2 \t -- $told)
        switch $fields[1]
            case plain
                printf '%s\t%s\n' $fields[2] "$fields[3]"
            case file
                set -l rest (string sub -s (math (string length -- "$fields[2]") + 1) -- "$typed")
                for path in (complete -C "'' $rest")
                    printf '%s%s\n' "$fields[2]" $path
                end
        end
    end
end
complete -c inspect -f -a '(__inspect_complete)'
