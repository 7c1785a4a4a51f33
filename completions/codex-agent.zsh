#compdef codex-agent -P codex-agent-*
# zsh completion for codex-agent and every codex-agent-NAME
# codex-agent answers: 'codex-agent --generate complete -- WORD...' prints a candidate a line, a TAB and
# its meaning; a line without a candidate is for this script.

_codex-agent() {
    local line word expl tool script external own=${words[1]:t} files=_files
    local -a asked answer offered shown open
    # What a pattern completes would be completed as file names, too.
    _compskip=all
    [[ $own == codex-agent ]] || asked=(${own#codex-agent-})
    asked+=("${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}")
    answer=("${(@f)$(codex-agent --generate complete -- "${asked[@]}" 2>/dev/null)}")
    if [[ $answer[1] == $'\t'external\ <-> ]]; then
        external=${answer[1]##* } tool=codex-agent-${asked[-external]}
        (( $+_comps[$tool] && ! $+__codex_agent_tried[$tool] )) && __codex_agent_tried+=($tool 1)
        if (( ! $+_comps[$tool] && ! $+__codex_agent_tried[$tool] )) && [[ ${answer[2]} == $'\t'script ]]; then
            # A script that would end the shell is let do so where it ends nothing else.
            script=$(codex-agent plugin completion ${tool#codex-agent-} zsh 2>/dev/null)
            if [[ $(eval "$script" >/dev/null 2>&1 </dev/null; print whole) == whole ]]; then
                eval "$script" >/dev/null 2>&1
            fi
            # A script may leave it to us to make its function known.
            (( $+_comps[$tool] || ! $+functions[_$tool] )) || compdef _$tool $tool
            __codex_agent_tried+=($tool 1)
        fi
        if [[ ${_comps[$tool]:-_codex-agent} != _codex-agent ]]; then
            shift $(( CURRENT - external )) words
            words[1]=$tool CURRENT=$external
            _normal
            return
        fi
        if [[ ${answer[2]} == $'\t'script ]]; then
            answer=("${(@f)$(codex-agent plugin candidates "${(@)asked[-external,-1]}" 2>/dev/null)}")
        fi
    fi
    for line in "${answer[@]}"; do
        case $line in
        $'\t'nothing) files= ;;
        $'\t'open) files= open=(-S '') ;;
        $'\t'directories) files='_files -/' ;;
        $'\t'command\ *)
            shift $(( CURRENT - ${line##* } )) words
            CURRENT=${line##* }
            if (( CURRENT == 1 )); then _command_names -e; else _normal; fi
            return ;;
        $'\t'*|'') ;;
        *)
            word=${line%%$'\t'*}
            offered+=("$word")
            shown+=("$word${${line#*$'\t'}:+  -- ${line#*$'\t'}}") ;;
        esac
    done
    if (( $#offered )); then
        # The order is that of codex-agent: the newest session first.
        _wanted -V candidate expl candidate compadd "${open[@]}" -d shown -a offered
    elif [[ -n $files ]]; then
        compset -P '--*='
        ${=files}
    fi
}
typeset -gA __codex_agent_tried
if [[ $funcstack[1] == _codex-agent ]]; then
    _codex-agent "$@"
else
    compdef _codex-agent codex-agent -P 'codex-agent-*'
fi
