# bash completion for codex-agent-ls; made by 'codex-agent-ls --generate bash'

# The words up to the cursor. bash splits them at ':', '=' and '@' too, which names, references and
# flags may hold; the line tells which of the parts stand apart.
__codex_agent_words() {
    local at=0 last=-1 rest=$COMP_LINE blank=$' \t\n' part mark= before apart
    words=()
    while [ "$at" -le "$COMP_CWORD" ]; do
        part=${COMP_WORDS[at]} before=$mark mark= apart=
        case $part in ''|*[!:=@]*) ;; *) mark=1 ;; esac
        case $rest in [$blank]*) apart=1 rest=${rest#"${rest%%[!$blank]*}"} ;; esac
        if [ "$at" -eq 0 ] || [ -n "$apart" ] || [ -z "$before$mark" ]; then
            last=$((last + 1)) words[last]=
        fi
        words[last]=${words[last]}$part rest=${rest#"$part"}
        at=$((at + 1))
    done
    cur=${words[last]}
}

# How many operands stand between a word and the cursor. The other arguments are the flags whose
# value is the next word.
__codex_agent_place() {
    local at=$1 flags=" ${*:2} "
    place=0
    while [ "$at" -lt "$last" ]; do
        case ${words[at]} in
        -?*) case $flags in *" ${words[at]} "*) at=$((at + 1)) ;; esac ;;
        *) place=$((place + 1)) ;;
        esac
        at=$((at + 1))
    done
}

# Takes the quoting from a word that is begun.
__codex_agent_plain() {
    local rest=$1
    plain=
    while [ "$open" != "'" ] && [ "$rest" != "${rest%%\\*}" ]; do
        plain=$plain${rest%%\\*} rest=${rest#*\\}
        plain=$plain${rest:0:1} rest=${rest:1}
    done
    plain=$plain$rest
}

# Offers, of lines as codex-agent prints them, those that begin with what is typed. They are quoted,
# as they may hold blanks and worse; "compgen -W" would even run what they hold.
__codex_agent_offer() {
    local open= kept= typed plain line name apostrophe="'\\''"
    case $cur in
    \'*|\"*) open=${cur:0:1} typed=${cur:1} ;;
    *) typed=$cur ;;
    esac
    # Only what follows the last ':', or begins with the last '@', is replaced.
    case $typed in *"$part") __codex_agent_plain "${typed%"$part"}"; kept=$plain ;; esac
    __codex_agent_plain "$typed"; typed=$plain
    while IFS= read -r line; do
        printf -v name %b "$line"
        case $name in "$typed"*) ;; *) continue ;; esac
        name=${name#"$kept"}
        [ -n "$name" ] || continue
        case $open in
        \') name=${name//\'/$apostrophe} ;;
        \")
            name=${name//\\/\\\\} name=${name//\"/\\\"}
            name=${name//\$/\\\$} name=${name//\`/\\\`} ;;
        *) printf -v name %q "$name" ;;
        esac
        # bash does not close a quotation that seems to be closed.
        [ -z "$open" ] || case $name in *"$open") name=$name$open ;; esac
        COMPREPLY[${#COMPREPLY[@]}]=$name
    done <<< "$(printf '%s\n' "$@")"
}

# bash 3.2 cannot be told that what is typed is no file.
__codex_agent_no_files() {
    type compopt >/dev/null 2>&1 && compopt +o default 2>/dev/null
}

# Words of ours with commas between.
__codex_agent_list() {
    local word before=
    case $cur in *,*) before=${cur%,*}, ;; esac
    for word in "$@"; do
        case $before$word in "$cur"*) COMPREPLY[${#COMPREPLY[@]}]=$before$word ;; esac
    done
    type compopt >/dev/null 2>&1 && compopt -o nospace 2>/dev/null
    __codex_agent_no_files
}

# Where bash cannot be told that these are file names it would not quote them; offering nothing makes
# it complete files by itself.
__codex_agent_folders() {
    local line
    type compopt >/dev/null 2>&1 || return 0
    compopt -o filenames 2>/dev/null
    while IFS= read -r line; do
        [ -z "$line" ] || COMPREPLY[${#COMPREPLY[@]}]=${line#"${cur%"$part"}"}
    done <<< "$(compgen -d -- "$cur")"
}

# Names and short ids; whole ones to whoever has begun to type.
__codex_agent_sessions() {
    local format='{short}\n{name}'
    [ -z "$cur" ] || format="{id}\n$format"
    codex-agent ls -n 200 --no-files --format "$format" 2>/dev/null || codex-agent ls -n 200 --format "$format" 2>/dev/null
}

_codex_agent_ls() {
    local words cur part=$2 last flag place
    COMPREPLY=()
    __codex_agent_words
    last=$((${#words[@]} - 1)) flag=${words[last-1]}
    case $cur in --*=*) flag=${cur%%=*}= cur=${cur#*=} ;; esac
    __codex_agent_place 1 --cwd --under --repo --branch --source --originator --provider --model --cli-version --name --since --until --time --group --forks-of --status -s --sort -n --limit --offset --fields --format --color --codex-home
    case $flag in
    --cwd|--cwd=) __codex_agent_folders ;;
    --under|--under=) __codex_agent_folders ;;
    --repo|--repo=) __codex_agent_no_files ;;
    --branch|--branch=) __codex_agent_no_files ;;
    --source|--source=) __codex_agent_no_files ;;
    --originator|--originator=) __codex_agent_no_files ;;
    --provider|--provider=) __codex_agent_no_files ;;
    --model|--model=) __codex_agent_no_files ;;
    --cli-version|--cli-version=) __codex_agent_no_files ;;
    --name|--name=) __codex_agent_no_files ;;
    --since|--since=) __codex_agent_no_files ;;
    --until|--until=) __codex_agent_no_files ;;
    --time|--time=) __codex_agent_offer updated created ;;
    --group|--group=) __codex_agent_offer "$(codex-agent group list --format '{name}' 2>/dev/null)" ;;
    --forks-of|--forks-of=) __codex_agent_offer @ @@ "$(__codex_agent_sessions)" ;;
    --status|--status=) __codex_agent_offer idle running interrupted failed unknown ;;
    --archived=) __codex_agent_offer only ;;
    -s|--sort|--sort=) __codex_agent_offer updated created tokens title cwd; __codex_agent_no_files ;;
    -n|--limit|--limit=) __codex_agent_no_files ;;
    --offset|--offset=) __codex_agent_no_files ;;
    --fields|--fields=) __codex_agent_list id name title first_user_message cwd created_at updated_at archived_at source originator subagent model reasoning_effort model_provider cli_version git rollout_path history tokens_used pinned found_in forked_from status resume_command sha branch origin_url parent nickname role short ;;
    --format|--format=) __codex_agent_no_files ;;
    --color|--color=) __codex_agent_offer auto always never ;;
    --codex-home|--codex-home=) __codex_agent_folders ;;
    *)
        case $cur in
        -*) __codex_agent_offer --cwd --under --repo --branch --source --originator --provider --model --cli-version --name --named --since --until --time --group --forks-of --status --archived --subagents -s --sort -n --limit --offset --json --fields --format -0 --null --full -c --count --color --codex-home --no-files --no-database --check -h --help -V --version -q --quiet ;;
        *)
            case $place in
            *) : ;;
            esac ;;
        esac ;;
    esac
}
complete -o default -F _codex_agent_ls codex-agent-ls
