# fish completion for codex-agent-find; made by 'codex-agent-find --generate fish'

function __codex_agent_sessions
    set -l format '{short}\t{title}'
    set -l token (commandline -ct)
    test -n "$token"; and set format "$format\n{id}\t{title}"
    begin; codex-agent ls -n 200 --no-files --format "$format" 2>/dev/null || codex-agent ls -n 200 --format "$format" 2>/dev/null; end | LC_ALL=C tr -d '\001-\010\013-\037\177' | string sub -l 130
    set format '{name}'
    begin; codex-agent ls -n 200 --no-files --format "$format" 2>/dev/null || codex-agent ls -n 200 --format "$format" 2>/dev/null; end | string match -r . | string replace -a '\\\\' '\\'
    printf '%s\t%s\n' @ 'the newest here' @@ 'the newest'
end

# Words of ours with commas between.
function __codex_agent_list
    set -l before (commandline -ct | string replace -r '^--[^=]*=' '' | string match -r '^.*,')
    set -q before[1]; or set before ''
    printf '%s\n' $before$argv
end

function __codex_agent_groups
    codex-agent group list --format '{name}' 2>/dev/null | string replace -a '\\\\' '\\'
end

function __codex_agent_queues
    codex-agent queue list 2>/dev/null | cut -f1 | string replace -a '\\\\' '\\'
end

function __codex_agent_runs
    codex-agent run list 2>/dev/null | cut -f1 | string replace -a '\\\\' '\\'
end

function __codex_agent_types
    codex-agent schema 2>/dev/null | cut -f1 | string replace -a '\\\\' '\\'
end

# How many operands stand before the cursor. The arguments are the flags that have a value.
function __codex_agent_place
    set -l count 0
    set -l skips
    for word in (commandline -opc)[2..-1]
        if set -q skips[1]
            set -e skips[1]
        else if contains -- $word $argv
            set skips 1
        else if not string match -qr -- '^-.' $word
            set count (math $count + 1)
        end
    end
    echo $count
end

complete -c codex-agent-find -f
complete -c codex-agent-find -s w -l words -d 'read every operand as a word, never as a reference'
complete -c codex-agent-find -l last -d 'only the one of them that was used last'
complete -c codex-agent-find -s 1 -l one -d 'exactly one, or exit 2 and the candidates'
complete -c codex-agent-find -l archived -d 'search archived sessions too'
complete -c codex-agent-find -l subagents -d 'search subagents too'
complete -c codex-agent-find -l json -d 'session records, one a line'
complete -c codex-agent-find -l fields -x -a '(__codex_agent_list id name title first_user_message cwd created_at updated_at archived_at source originator subagent model reasoning_effort model_provider cli_version git rollout_path history tokens_used pinned found_in forked_from status resume_command sha branch origin_url parent nickname role short)' -d 'only these fields, in this order'
complete -c codex-agent-find -l format -x -d 'a template such as \'{id}\\t{title}\''
complete -c codex-agent-find -s 0 -l null -d 'end rows with NUL, and escape nothing in them'
complete -c codex-agent-find -l full -d 'look into the rollouts: fork parent, status, last directory'
complete -c codex-agent-find -l color -x -a 'auto always never' -d 'when to colour tables'
complete -c codex-agent-find -l codex-home -x -a '(__fish_complete_directories)' -d 'Codex\'s home, instead of CODEX_HOME or ~/.codex'
complete -c codex-agent-find -l no-files -d 'trust Codex\'s database alone'
complete -c codex-agent-find -l no-database -d 'read the rollout files alone'
complete -c codex-agent-find -s h -l help -d 'show this help'
complete -c codex-agent-find -s V -l version -d 'show the version'
complete -c codex-agent-find -s q -l quiet -d 'print no status, only warnings and errors, on standard error'
complete -c codex-agent-find -f -a '(__codex_agent_sessions)'
