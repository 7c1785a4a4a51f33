# bash completion for codex-agent
#
# Offers the tools, then hands over to the completion of the tool: the function
# _codex_agent_NAME (dashes as underscores), or what 'complete' knows of codex-agent-NAME. Either may
# be there, or lie in a file, or else come from the tool, where codex-agent-plugin(1) knows that it
# may. bash 3.2 is enough.

# Looks which function completes a tool.
__codex_agent_function() {
    function=_codex_agent_${tool//-/_}
    declare -F "$function" >/dev/null && return 0
    function=$(complete -p "codex-agent-$tool" 2>/dev/null)
    case $function in
    *' -F '*) function=${function#* -F } function=${function%% *} ;;
    *) function= ;;
    esac
    # What bash-completion says of a command that it does not know.
    case $function in
    ''|_minimal|_comp_complete_minimal) function=; return 1 ;;
    esac
    declare -F "$function" >/dev/null
}

# The words up to the cursor, which bash splits at ':', '=' and '@' too: the line tells which of the
# parts stand apart. Of each word also the place of its last part, and what follows it in the line.
__codex_agent_line() {
    local at=0 rest=$COMP_LINE blank=$' \t\n' part mark= before apart
    words=() ends=() rests=() last=-1
    while [ "$at" -le "$COMP_CWORD" ]; do
        part=${COMP_WORDS[at]} before=$mark mark= apart=
        case $part in ''|*[!:=@]*) ;; *) mark=1 ;; esac
        case $rest in [$blank]*) apart=1 rest=${rest#"${rest%%[!$blank]*}"} ;; esac
        if [ "$at" -eq 0 ] || [ -n "$apart" ] || [ -z "$before$mark" ]; then
            last=$((last + 1)) words[last]=
        fi
        rest=${rest#"$part"}
        words[last]=${words[last]}$part ends[last]=$at rests[last]=$rest
        at=$((at + 1))
    done
}

_codex_agent() {
    local IFS=$' \t\n' cur=$2 at=1 tool= function beside words ends rests last flag typed
    __codex_agent_line
    while [ "$at" -lt "$last" ]; do
        case ${words[at]} in
        -C|--directory|--codex-home|--config-home) at=$((at + 1)) ;;
        -*) ;;
        *) tool=${words[at]}; break ;;
        esac
        at=$((at + 1))
    done
    COMPREPLY=()
    if [ -z "$tool" ] || [ "$tool" = help ]; then
        flag=${words[last-1]} typed=${words[last]}
        case $typed in --*=*) flag=${typed%%=*} typed=${typed#*=} ;; esac
        case $flag in
        -C|--directory|--codex-home|--config-home)
            # Where bash cannot be told that these are file names it completes files by itself.
            if type compopt >/dev/null 2>&1; then
                compopt -o filenames 2>/dev/null
                IFS=$'\n'
                while read -r function; do
                    [ -z "$function" ] || COMPREPLY[${#COMPREPLY[@]}]=${function#"${typed%"$cur"}"}
                done <<< "$(compgen -d -- "$typed")"
            fi
            return 0 ;;
        --list)
            COMPREPLY=(json)
            return 0 ;;
        esac
        # The names of tools are lower case letters, digits and dashes: nothing that bash would expand.
        case $typed in
        -*) COMPREPLY=($(compgen -W "-C --directory --codex-home --config-home --list --exec-path -h --help -V --version" -- "$cur")) ;;
        *) COMPREPLY=($(compgen -W "help $([ "$tool" = help ] && echo guide records files plugins) $(codex-agent --list 2>/dev/null | cut -f1)" -- "$cur")) ;;
        esac
        return 0
    fi
    if ! __codex_agent_function; then
        # bash-completion loads a file by the name of its command.
        if declare -F _comp_load >/dev/null; then
            _comp_load "codex-agent-$tool" >/dev/null 2>&1
        elif declare -F _completion_loader >/dev/null; then
            _completion_loader "codex-agent-$tool" >/dev/null 2>&1
        fi
        # Without it, the files of one installation lie side by side.
        beside=${BASH_SOURCE[0]%/*}/codex-agent-$tool.bash
        if ! __codex_agent_function && [ "${beside:0:1}" = / ] && [ -r "$beside" ]; then
            . "$beside"
        fi
        if ! __codex_agent_function; then
            # A script that would end the shell is let do so where it ends nothing else.
            beside=$(codex-agent plugin completion "$tool" bash 2>/dev/null)
            function=$(eval "$beside" >/dev/null 2>&1 </dev/null; echo whole)
            [ "$function" != whole ] || eval "$beside" >/dev/null 2>&1
            __codex_agent_function
        fi
    fi
    if [ -n "$function" ] && declare -F "$function" >/dev/null; then
        COMP_POINT=$((COMP_POINT - ${#COMP_LINE} + ${#rests[at]} + 12 + ${#tool}))
        COMP_LINE=codex-agent-$tool${rests[at]} at=${ends[at]}
        COMP_WORDS=("codex-agent-$tool" "${COMP_WORDS[@]:$((at + 1))}")
        COMP_CWORD=$((COMP_CWORD - at))
        "$function" "codex-agent-$tool" "$cur" "${COMP_WORDS[COMP_CWORD-1]}"
    fi
}
complete -o default -F _codex_agent codex-agent
