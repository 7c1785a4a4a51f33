//! Scripts that complete a tool by its hook: what `codex-agent plugin candidates` prints. Whether the
//! hook may be run is decided there, each time.

use super::completions::BASH;

/// The script for a shell; `None` for a shell that there is not.
pub fn hook(name: &str, shell: &str) -> Option<String> {
    let script = match shell {
        "bash" => format!("# bash completion for codex-agent-NAME, by its hook\n{BASH}{HOOK_BASH}"),
        "zsh" => HOOK_ZSH.to_owned(),
        "fish" => HOOK_FISH.to_owned(),
        _ => return None,
    };
    Some(script.replace("FUNCTION", &name.replace('-', "_")).replace("NAME", name))
}

const HOOK_BASH: &str = r#"# A word as the shell would read it, were it run.
__codex_agent_unquoted() {
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

_codex_agent_FUNCTION() {
    local words cur part=$2 plain plains at=1
    COMPREPLY=()
    __codex_agent_words
    plains=(NAME)
    while [ "$at" -lt "${#words[@]}" ]; do
        __codex_agent_unquoted "${words[at]}"
        plains[at]=$plain
        at=$((at + 1))
    done
    __codex_agent_offer "$(codex-agent plugin candidates "${plains[@]}" 2>/dev/null | cut -f1)"
}
complete -o default -F _codex_agent_FUNCTION codex-agent-NAME
"#;

const HOOK_ZSH: &str = r#"#compdef codex-agent-NAME
# by the hook of codex-agent-NAME

_codex-agent-NAME() {
    local line word expl
    local -a offered shown
    for line in ${(f)"$(codex-agent plugin candidates NAME "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null)"}; do
        # A backslash comes doubled.
        word=${line%%$'\t'*} word=${word//\\\\/\\}
        offered+=("$word")
        shown+=("$word${${line#*$'\t'}:+  -- ${line#*$'\t'}}")
    done
    if (( $#offered )); then
        _wanted candidate expl candidate compadd -d shown -a offered
    else
        _files
    fi
}

if [[ $funcstack[1] == _codex-agent-NAME ]]; then
    _codex-agent-NAME "$@"
else
    compdef _codex-agent-NAME codex-agent-NAME
fi
"#;

const HOOK_FISH: &str = r#"# fish completion for codex-agent-NAME, by its hook
function __codex_agent_hook_FUNCTION
    set -l words (commandline -opc)
    set -l typed (commandline -ct)
    set -l plain (string unescape -- $typed)
    or set plain (string trim -l -c '\'"' -- $typed)
    set -l offered (codex-agent plugin candidates NAME $words[2..-1] "$plain" 2>/dev/null | string replace -a '\\\\' '\\')
    if set -q offered[1]
        printf '%s\n' $offered
    else
        __fish_complete_path "$plain"
    end
end
complete -c codex-agent-NAME -f -a '(__codex_agent_hook_FUNCTION)'
"#;
