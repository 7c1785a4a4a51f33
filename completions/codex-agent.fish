# fish completion for codex-agent and every codex-agent-NAME
# codex-agent answers: 'codex-agent --generate complete -- WORD...' prints a candidate a line, a TAB and
# its meaning; a line without a candidate is for this script.
# Whether a command has a completion of its own.
function __codex_agent_has_own
    complete -c $argv[1] | string match -qv '*__codex_agent*'
end
function __codex_agent_complete
    # The completion of an external tool may be asked for the same line again.
    set -q __codex_agent_busy; and return
    set -l words (commandline -opc)
    set -l typed (commandline -ct)
    set -l plain (string unescape -- $typed)
    or set plain (string trim -l -c '\'"' -- $typed)
    set -l own (string replace -r '.*/' '' -- $words[1])
    set -l asked (string replace -f codex-agent- '' -- $own) $words[2..-1] "$plain"
    set -l answer (codex-agent --generate complete -- $asked 2>/dev/null)
    set -l external (string match -rg '^\texternal (\d+)$' -- $answer[1])
    if test -n "$external"
        set -l first (math (count $asked) - $external + 1)
        set -l rest $asked[$first..-1]
        set -l tool codex-agent-$rest[1]
        set -g __codex_agent_busy 1
        # Whatever is installed for a command is loaded when something is asked of it.
        __codex_agent_has_own $tool; or complete -C "$tool -" >/dev/null 2>&1
        if contains \tscript $answer; and not __codex_agent_has_own $tool
            # fish tells of a script that it cannot read, whatever becomes of its messages.
            set -l script (codex-agent plugin completion $rest[1] fish 2>/dev/null)
            if printf '%s\n' $script | command fish --no-execute >/dev/null 2>&1
                printf '%s\n' $script | source >/dev/null 2>&1
            end
        end
        set -l has_own 0
        if __codex_agent_has_own $tool
            set has_own 1
            set -e rest[1] rest[-1]
            complete -C (string join ' ' -- $tool (string escape -- $rest) "$typed")
        end
        set -e __codex_agent_busy
        test $has_own = 1; and return
        if contains \tscript $answer
            set answer (codex-agent plugin candidates $rest 2>/dev/null)
        end
    end
    set -l offered (string match -r '^[^\t].*' -- $answer)
    if set -q offered[1]
        printf '%s\n' $offered
        return
    end
    set -l flag (string match -r '^--[^=]*=' -- "$plain")
    set -l file (string replace -r '^--[^=]*=' '' -- "$plain")
    switch "$answer"
        case \tdirectories
            __fish_complete_directories "$file" '' | string replace -r '^' "$flag"
        case \t'command *'
            set -l first (math (count $asked) - (string match -rg 'command (\d+)' -- "$answer") + 1)
            set -l rest $asked[$first..-1]
            set -e rest[-1]
            complete -C (string join ' ' -- (string escape -- $rest) "$typed")
        case \tnothing \topen
        case '*'
            __fish_complete_path "$file" | string replace -r '^' "$flag"
    end
end
for __codex_agent_file in codex-agent $PATH/codex-agent-*
    set -l name (string replace -r '.*/' '' -- $__codex_agent_file)
    complete -c $name | string match -q '*'; or complete -c $name -k -f -a '(__codex_agent_complete)'
end
set -e __codex_agent_file
