# Completion of `inspect` for bash 4 and later, as `inspect completion bash` prints it.
# What it is told is quoted already; nothing here is evaluated.
_inspect() {
    local kind value file files=
    local -a paths
    COMPREPLY=()
    while IFS=$'\t' read -r kind value; do
        case $kind in
            plain) COMPREPLY+=("$value") ;;
            file) files=1 ;;
            nospace) compopt -o nospace ;;
        esac
    done < <(_INSPECT_COMPLETE=bash_complete _INSPECT_LINE="${COMP_LINE:0:COMP_POINT}" \
        _INSPECT_BREAKS="$COMP_WORDBREAKS" "${1/#\~\//$HOME/}" 2>/dev/null </dev/null)
    [[ $files ]] || return 0
    if ((${#COMPREPLY[@]} == 0)); then
        compopt -o default -o bashdefault
        return 0
    fi
    # Commands and files alike. A folder that is named as a command is one stays a command.
    mapfile -t paths < <(compgen -f -- "$2")
    for file in "${paths[@]}"; do
        [[ " ${COMPREPLY[*]} " == *" $file "* ]] && continue
        COMPREPLY+=("$file")
        files=2
    done
    ((files == 2)) && compopt -o filenames
    return 0
}
complete -F _inspect inspect
