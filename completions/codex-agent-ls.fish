# fish completion for codex-agent-ls; made by 'codex-agent-ls --generate fish'

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

complete -c codex-agent-ls -f
complete -c codex-agent-ls -l cwd -x -a '(__fish_complete_directories)' -d 'sessions of exactly this directory'
complete -c codex-agent-ls -l under -x -a '(__fish_complete_directories)' -d 'sessions of this directory and of all below it'
complete -c codex-agent-ls -l repo -x -d 'sessions whose git remote \'origin\' is this'
complete -c codex-agent-ls -l branch -x -d 'sessions begun on this git branch'
complete -c codex-agent-ls -l source -x -d 'sessions made this way: exec, cli, vscode, ...'
complete -c codex-agent-ls -l originator -x -d 'sessions made by this program'
complete -c codex-agent-ls -l provider -x -d 'sessions with this model provider'
complete -c codex-agent-ls -l model -x -d 'sessions with this model'
complete -c codex-agent-ls -l cli-version -x -d 'sessions made by this version of Codex'
complete -c codex-agent-ls -l name -x -d 'sessions of this name'
complete -c codex-agent-ls -l named -d 'sessions that have a name'
complete -c codex-agent-ls -l since -x -d 'sessions updated at or after this time'
complete -c codex-agent-ls -l until -x -d 'sessions updated at or before this time'
complete -c codex-agent-ls -l time -x -a 'updated created' -d 'which time --since and --until look at'
complete -c codex-agent-ls -l group -x -a '(__codex_agent_groups)' -d 'sessions of this group'
complete -c codex-agent-ls -l forks-of -x -a '(__codex_agent_sessions)' -d 'sessions forked from this one'
complete -c codex-agent-ls -l status -x -a 'idle running interrupted failed unknown' -d 'sessions whose last turn is in this state'
complete -c codex-agent-ls -l archived -f -a 'only' -d 'archived sessions too, or only them'
complete -c codex-agent-ls -l subagents -d 'sessions that Codex made as subagents too'
complete -c codex-agent-ls -s s -l sort -x -a 'updated created tokens title cwd' -d 'what to order by; KEY:asc or KEY:desc'
complete -c codex-agent-ls -s n -l limit -x -d 'at most N sessions'
complete -c codex-agent-ls -l offset -x -d 'pass over the first N'
complete -c codex-agent-ls -l json -d 'session records, one a line'
complete -c codex-agent-ls -l fields -x -a '(__codex_agent_list id name title first_user_message cwd created_at updated_at archived_at source originator subagent model reasoning_effort model_provider cli_version git rollout_path history tokens_used pinned found_in forked_from status resume_command sha branch origin_url parent nickname role short)' -d 'only these fields, in this order'
complete -c codex-agent-ls -l format -x -d 'a template such as \'{id}\\t{title}\''
complete -c codex-agent-ls -s 0 -l null -d 'end rows with NUL, and escape nothing in them'
complete -c codex-agent-ls -l full -d 'look into the rollouts: fork parent, status, last directory'
complete -c codex-agent-ls -s c -l count -d 'only how many there are'
complete -c codex-agent-ls -l color -x -a 'auto always never' -d 'when to colour tables'
complete -c codex-agent-ls -l codex-home -x -a '(__fish_complete_directories)' -d 'Codex\'s home, instead of CODEX_HOME or ~/.codex'
complete -c codex-agent-ls -l no-files -d 'trust Codex\'s database alone'
complete -c codex-agent-ls -l no-database -d 'read the rollout files alone'
complete -c codex-agent-ls -l check -d 'tell where database and files disagree, instead of listing'
complete -c codex-agent-ls -s h -l help -d 'show this help'
complete -c codex-agent-ls -s V -l version -d 'show the version'
complete -c codex-agent-ls -s q -l quiet -d 'print no status, only warnings and errors, on standard error'
