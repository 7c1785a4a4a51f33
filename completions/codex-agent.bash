# bash completion for codex-agent and every codex-agent-NAME
# codex-agent answers: 'codex-agent --generate complete -- WORD...' prints a candidate a line, a TAB and
# its meaning; a line without a candidate is for this script. Candidates are other people's text: none of
# them is expanded here, and each is inserted quoted. bash 3.2 is enough.
# The words up to the cursor, which bash splits at ':', '=' and '@' too: the line tells which of the
# parts stand apart. Of each word also the place of its last part, and what follows it in the line.
__codex_agent_line() {
    local at=0 rest=$COMP_LINE blank=$' \t\n' piece mark= before apart
    words=() ends=() rests=() last=-1
    while [ "$at" -le "$COMP_CWORD" ]; do
        piece=${COMP_WORDS[at]} before=$mark mark= apart=
        case $piece in ''|*[!:=@]*) ;; *) mark=1 ;; esac
        case $rest in [$blank]*) apart=1 rest=${rest#"${rest%%[!$blank]*}"} ;; esac
        if [ "$at" -eq 0 ] || [ -n "$apart" ] || [ -z "$before$mark" ]; then
            last=$((last + 1)) words[last]=
        fi
        rest=${rest#"$piece"}
        words[last]=${words[last]}$piece ends[last]=$at rests[last]=$rest
        at=$((at + 1))
    done
}
# A word as the shell would read it, were it run.
__codex_agent_plain() {
    local rest=$1 letter quote=
    plain=
    while [ -n "$rest" ]; do
        letter=${rest:0:1} rest=${rest:1}
        case $quote$letter in
        \'\'|\"\") quote= ;;
        \'|\") quote=$letter ;;
        \\) plain=$plain${rest:0:1} rest=${rest:1} ;;
        \"\\)
            case ${rest:0:1} in [\$\`\"\\]) ;; *) plain=$plain\\ ;; esac
            plain=$plain${rest:0:1} rest=${rest:1} ;;
        *) plain=$plain$letter ;;
        esac
    done
}
__codex_agent_option() {
    type compopt >/dev/null 2>&1 && compopt "$@" 2>/dev/null
}
# Looks which function completes an external tool: the one of its name, or what 'complete' knows.
__codex_agent_function() {
    function=_codex_agent_${tool//-/_}
    declare -F "$function" >/dev/null && return 0
    function=$(complete -p "codex-agent-$tool" 2>/dev/null)
    case $function in
    *' -F '*) function=${function#* -F } function=${function%% *} ;;
    *) return 1 ;;
    esac
    # bash-completion says _minimal of a command that it does not know.
    case $function in _codex_agent|_minimal|_comp_complete_minimal) return 1 ;; esac
    declare -F "$function" >/dev/null
}
# Lets the completion of an external tool complete the line from the word at $1 on.
__codex_agent_hand_over() {
    local at=$1 has_script=$2 function script tool
    __codex_agent_plain "${words[at]}"
    tool=${plain##*/} tool=${tool#codex-agent-}
    case $__codex_agent_tried in *" $tool "*) ;; *)
        __codex_agent_tried="$__codex_agent_tried $tool "
        if ! __codex_agent_function; then
            # bash-completion loads a file by the name of its command.
            if declare -F _comp_load >/dev/null; then
                _comp_load "codex-agent-$tool" >/dev/null 2>&1
            elif declare -F _completion_loader >/dev/null; then
                _completion_loader "codex-agent-$tool" >/dev/null 2>&1
            fi
        fi
        if [ -n "$has_script" ] && ! __codex_agent_function; then
            # A script that cannot be parsed would leave the parser of this shell in disorder, and one that would
            # end the shell is let do so where it ends nothing else.
            script=$(codex-agent plugin completion "$tool" bash 2>/dev/null)
            function=$("${BASH:-bash}" -n <<< "$script" 2>/dev/null || exit
                eval "$script" >/dev/null 2>&1 </dev/null; echo whole)
            [ "$function" != whole ] || eval "$script" >/dev/null 2>&1
        fi ;;
    esac
    if ! __codex_agent_function; then
        complete -o default -F _codex_agent "codex-agent-$tool"
        return 1
    fi
    COMP_POINT=$((COMP_POINT - ${#COMP_LINE} + ${#rests[at]} + 12 + ${#tool}))
    COMP_LINE=codex-agent-$tool${rests[at]} at=${ends[at]}
    COMP_WORDS=("codex-agent-$tool" "${COMP_WORDS[@]:$((at + 1))}")
    COMP_CWORD=$((COMP_CWORD - at))
    "$function" "codex-agent-$tool" "$part" "${COMP_WORDS[COMP_CWORD-1]}"
}
_codex_agent() {
    local IFS=$' \t\n' part=$2 words ends rests last plain at=1 asked answer line name meaning
    local open= kept external= script= apostrophe="'\\''" meanings=() tab=$'\t'
    COMPREPLY=()
    __codex_agent_line
    name=${1##*/} asked=()
    [ "$name" = codex-agent ] || asked=("${name#codex-agent-}")
    while [ "$at" -le "$last" ]; do
        __codex_agent_plain "${words[at]}"
        asked[${#asked[@]}]=$plain
        at=$((at + 1))
    done
    answer=$(codex-agent --generate complete -- "${asked[@]}" 2>/dev/null)
    case $tab$answer in *"$tab"script*) script=1 ;; esac
    case $answer in
    "${tab}external "*)
        external=${answer#* } external=${external%%[!0-9]*}
        __codex_agent_hand_over $((last - external + 1)) "$script" && return
        [ -z "$script" ] || answer=$(codex-agent plugin candidates "${asked[@]:$((${#asked[@]} - external))}" 2>/dev/null) ;;
    esac
    # Only what follows the last ':', or begins with the last '@', is replaced.
    line=${words[last]%"$part"}
    case $line in
    *[\'\"]) open=${line:$((${#line} - 1))} ;;
    *) case $part in [\'\"]*) open=${part:0:1} ;; esac ;;
    esac
    __codex_agent_plain "$line"
    kept=$plain
    while IFS= read -r line; do
        case $line in
        "${tab}nothing") __codex_agent_option +o default ;;
        "${tab}open") __codex_agent_option +o default -o nospace ;;
        "${tab}command 1")
            while IFS= read -r name; do
                [ -z "$name" ] || COMPREPLY[${#COMPREPLY[@]}]=$name
            done <<< "$(compgen -c -- "$part")" ;;
        "${tab}directories")
            # Where bash cannot be told that these are file names it completes files by itself.
            __codex_agent_option -o filenames || continue
            name=${words[last]}
            case $name in --*=*) name=${name#*=} ;; esac
            while IFS= read -r line; do
                [ -z "$line" ] || COMPREPLY[${#COMPREPLY[@]}]=${line#"${name%"$part"}"}
            done <<< "$(compgen -d -- "$name")" ;;
        "$tab"*|'') ;;
        *)
            name=${line%%"$tab"*} meaning=
            case $line in *"$tab"?*) meaning=${line#*"$tab"} ;; esac
            name=${name#"$kept"}
            [ -n "$name" ] || continue
            case $open in
            \') name=${name//\'/$apostrophe} ;;
            \")
                name=${name//\\/\\\\} name=${name//\"/\\\"}
                name=${name//\$/\\\$} name=${name//\`/\\\`} ;;
            *) printf -v name %q "$name"; name=${name//\\,/,} ;;
            esac
            # bash does not close a quotation that seems to be closed.
            [ -z "$open" ] || case $name in *"$open") name=$name$open ;; esac
            meanings[${#COMPREPLY[@]}]=$meaning
            COMPREPLY[${#COMPREPLY[@]}]=$name ;;
        esac
    done <<< "$answer"
    __codex_agent_option -o nosort
    # A list shows the meanings. What they have in common with a word is never inserted.
    case ${#COMPREPLY[@]}:$COMP_TYPE in 1:*|*:37|*:42|*:) return 0 ;; esac
    for at in "${!meanings[@]}"; do
        [ -z "${meanings[at]}" ] || COMPREPLY[at]="${COMPREPLY[at]}  (${meanings[at]})"
        [ "${#COMPREPLY[at]}" -lt "${COLUMNS:-80}" ] || COMPREPLY[at]=${COMPREPLY[at]:0:$((${COLUMNS:-80} - 1))}
    done
}
for __codex_agent_name in codex-agent $(compgen -c codex-agent-); do
    complete -p "$__codex_agent_name" >/dev/null 2>&1 || complete -o default -F _codex_agent "$__codex_agent_name"
done
unset __codex_agent_name
