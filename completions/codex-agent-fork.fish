# fish completion for codex-agent-fork; made by 'codex-agent-fork --generate fish'

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

complete -c codex-agent-fork -f
complete -c codex-agent-fork -l nth-message -x -d 'keep what came before the Nth message of the user'
complete -c codex-agent-fork -l at -x -d 'keep what came before this turn of this session'
complete -c codex-agent-fork -s n -l count -x -d 'make N forks of each session'
complete -c codex-agent-fork -l name -x -d 'name each fork; of several, NAME 2, NAME 3, ...'
complete -c codex-agent-fork -l cwd -x -a '(__fish_complete_directories)' -d 'where the forks work, instead of the session\'s directory'
complete -c codex-agent-fork -s p -l prompt -x -d 'the prompt, which may begin with a dash'
complete -c codex-agent-fork -l prompt-file -r -F -d 'one prompt, the whole of this file; - is standard input'
complete -c codex-agent-fork -s i -l image -r -F -d 'an image to send with each prompt'
complete -c codex-agent-fork -l answers -d 'only the last message of each session'
complete -c codex-agent-fork -l events -d 'Codex\'s own events too, as job.event'
complete -c codex-agent-fork -s m -l model -x -d 'the model'
complete -c codex-agent-fork -s s -l sandbox -x -a 'read-only workspace-write danger-full-access' -d 'what Codex may touch'
complete -c codex-agent-fork -s c -l config -x -d 'a setting of Codex\'s configuration'
complete -c codex-agent-fork -l output-schema -r -F -d 'a JSON Schema that the last message must follow'
complete -c codex-agent-fork -l skip-git-repo-check -d 'let Codex work outside of git'
complete -c codex-agent-fork -l codex-arg -x -d 'one more argument for Codex, as it stands'
complete -c codex-agent-fork -l dangerously-bypass-approvals-and-sandbox -d 'let Codex do everything; it must be written out'
complete -c codex-agent-fork -s j -l max-concurrent -x -d 'run at most N jobs at a time'
complete -c codex-agent-fork -l max-failures -x -d 'stop starting jobs after N failures'
complete -c codex-agent-fork -l retries -x -d 'retry a job up to N times on transient failures'
complete -c codex-agent-fork -l on-busy -x -a 'wait wait= skip fork fail' -d 'what to do with a session in use'
complete -c codex-agent-fork -l on-limit -x -a 'stop wait try' -d 'what to do at a usage limit'
complete -c codex-agent-fork -l timeout -x -d 'stop a job that takes longer, such as 90s or 1h30m'
complete -c codex-agent-fork -l idle-timeout -x -d 'stop a job that prints nothing for this long'
complete -c codex-agent-fork -l network-timeout -x -d 'stop a job that has no network for this long'
complete -c codex-agent-fork -l interrupted -x -a 'fail continue retry' -d 'what to do with a job that was interrupted'
complete -c codex-agent-fork -l codex -r -F -d 'the executable of Codex'
complete -c codex-agent-fork -l json -d 'the records of the forks, one a line'
complete -c codex-agent-fork -l dry-run -d 'print the sessions that would be forked, and do nothing'
complete -c codex-agent-fork -l codex-home -x -a '(__fish_complete_directories)' -d 'Codex\'s home, instead of CODEX_HOME or ~/.codex'
complete -c codex-agent-fork -s h -l help -d 'show this help'
complete -c codex-agent-fork -s V -l version -d 'show the version'
complete -c codex-agent-fork -s q -l quiet -d 'print no status, only warnings and errors, on standard error'
complete -c codex-agent-fork -f -a '(__codex_agent_sessions)'
