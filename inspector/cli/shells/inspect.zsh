#compdef inspect
# Completion of `inspect` for zsh, as `inspect completion zsh` prints it.
# Words are handed to compadd, which quotes them; nothing here is evaluated.
_inspect() {
    local kind value text
    local -a values shown files more
    local -i longest=0 told=0
    while IFS=$'\t' read -r kind value text; do
        case $kind in
            plain)
                values+=("$value")
                shown+=("$text")
                (( $#value > longest )) && longest=$#value
                [[ -n $text ]] && told=1
                ;;
            file) files+=("$value") ;;
            nospace) more=(-S '') ;;
        esac
    done < <(_INSPECT_COMPLETE=zsh_complete \
        _INSPECT_LINE="${(j: :)words[1,CURRENT-1]} $QIPREFIX$IPREFIX$PREFIX" \
        "${${(Q)words[1]}/#\~\//$HOME/}" 2>/dev/null </dev/null)
    local -i at
    if (( $#values && told )); then
        for (( at = 1; at <= $#values; at++ )); do
            shown[at]="${(r:longest:)values[at]}  ${shown[at]:+-- $shown[at]}"
        done
        compadd -l "${more[@]}" -d shown -a values
    elif (( $#values )); then
        compadd "${more[@]}" -a values
    fi
    if (( $#files )); then
        [[ -n $files[1] ]] && compset -P '*='
        _files
    fi
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    _inspect "$@"
else
    compdef _inspect inspect
fi
