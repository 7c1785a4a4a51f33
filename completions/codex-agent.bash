# bash completion for codex-agent
#
# Offers the tools, then hands over to the completion of the tool: the function
# _codex_agent_NAME (dashes as underscores), which any tool may bring.
_codex_agent() {
    local cur at tool function
    cur=${COMP_WORDS[COMP_CWORD]}
    at=1 tool=
    while [ "$at" -lt "$COMP_CWORD" ]; do
        case ${COMP_WORDS[at]} in
        -C|--directory|--codex-home|--config-home) at=$((at + 1)) ;;
        -*|=) ;;
        *) tool=${COMP_WORDS[at]}; break ;;
        esac
        at=$((at + 1))
    done
    if [ -z "$tool" ] || [ "$tool" = help ]; then
        case ${COMP_WORDS[COMP_CWORD-1]} in
        -C|--directory|--codex-home|--config-home)
            COMPREPLY=($(compgen -d -- "$cur"))
            return ;;
        esac
        case $cur in
        -*) COMPREPLY=($(compgen -W "-C --directory --codex-home --config-home --list --exec-path -h --help -V --version" -- "$cur")) ;;
        *) COMPREPLY=($(compgen -W "help $(codex-agent --list 2>/dev/null | cut -f1)" -- "$cur")) ;;
        esac
        return
    fi
    function=_codex_agent_${tool//-/_}
    if ! declare -F "$function" >/dev/null; then
        # bash-completion loads a file by the name of its command.
        if declare -F _comp_load >/dev/null; then
            _comp_load "codex-agent-$tool" >/dev/null 2>&1
        elif declare -F _completion_loader >/dev/null; then
            _completion_loader "codex-agent-$tool" >/dev/null 2>&1
        fi
    fi
    if declare -F "$function" >/dev/null; then
        COMP_WORDS=("codex-agent-$tool" "${COMP_WORDS[@]:$((at + 1))}")
        COMP_CWORD=$((COMP_CWORD - at))
        "$function" "codex-agent-$tool" "$cur" "${COMP_WORDS[COMP_CWORD-1]}"
    fi
}
complete -o default -F _codex_agent codex-agent
