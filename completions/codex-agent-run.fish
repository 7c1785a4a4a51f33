# fish completion for codex-agent-run; made by 'codex-agent-run --generate fish'

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

complete -c codex-agent-run -f
complete -c codex-agent-run -n __fish_use_subcommand -a list -d 'list the runs of every tool'
complete -c codex-agent-run -n __fish_use_subcommand -a log -d 'print the log of a run'
complete -c codex-agent-run -n __fish_use_subcommand -a watch -d 'follow a run that another terminal carries out'
complete -c codex-agent-run -n __fish_use_subcommand -a continue -d 'continue a run that has work left'
complete -c codex-agent-run -n __fish_use_subcommand -a stop -d 'stop starting jobs of a run'
complete -c codex-agent-run -n __fish_use_subcommand -a prune -d 'remove the records of finished runs'
complete -c codex-agent-run -n 'not __fish_seen_subcommand_from list ls log watch continue stop prune' -s p -l prompt -x -d 'the prompt, which may begin with a dash'
complete -c codex-agent-run -n 'not __fish_seen_subcommand_from list ls log watch continue stop prune' -l prompt-file -r -F -d 'one prompt, the whole of this file; - is standard input'
complete -c codex-agent-run -n 'not __fish_seen_subcommand_from list ls log watch continue stop prune' -l jobs -d 'job records from standard input, instead of prompts'
complete -c codex-agent-run -n 'not __fish_seen_subcommand_from list ls log watch continue stop prune' -l text -d 'lines from standard input are prompts, also those that begin with {'
complete -c codex-agent-run -n 'not __fish_seen_subcommand_from list ls log watch continue stop prune' -s 0 -l null -d 'prompts from standard input end with NUL instead of a newline'
complete -c codex-agent-run -n 'not __fish_seen_subcommand_from list ls log watch continue stop prune' -s n -l dry-run -d 'print the jobs as records, and do nothing'
complete -c codex-agent-run -n 'not __fish_seen_subcommand_from list ls log watch continue stop prune' -l cwd -x -a '(__fish_complete_directories)' -d 'the directory of the sessions'
complete -c codex-agent-run -n 'not __fish_seen_subcommand_from list ls log watch continue stop prune' -s i -l image -r -F -d 'an image to send with each prompt'
complete -c codex-agent-run -n 'not __fish_seen_subcommand_from list ls log watch continue stop prune' -l codex-home -x -a '(__fish_complete_directories)' -d 'Codex\'s home, instead of CODEX_HOME or ~/.codex'
complete -c codex-agent-run -n 'not __fish_seen_subcommand_from list ls log watch continue stop prune' -s m -l model -x -d 'the model'
complete -c codex-agent-run -n 'not __fish_seen_subcommand_from list ls log watch continue stop prune' -s s -l sandbox -x -a 'read-only workspace-write danger-full-access' -d 'what Codex may touch'
complete -c codex-agent-run -n 'not __fish_seen_subcommand_from list ls log watch continue stop prune' -s c -l config -x -d 'a setting of Codex\'s configuration'
complete -c codex-agent-run -n 'not __fish_seen_subcommand_from list ls log watch continue stop prune' -l output-schema -r -F -d 'a JSON Schema that the last message must follow'
complete -c codex-agent-run -n 'not __fish_seen_subcommand_from list ls log watch continue stop prune' -l skip-git-repo-check -d 'let Codex work outside of git'
complete -c codex-agent-run -n 'not __fish_seen_subcommand_from list ls log watch continue stop prune' -l codex-arg -x -d 'one more argument for Codex, as it stands'
complete -c codex-agent-run -n 'not __fish_seen_subcommand_from list ls log watch continue stop prune' -l dangerously-bypass-approvals-and-sandbox -d 'let Codex do everything; it must be written out'
complete -c codex-agent-run -n 'not __fish_seen_subcommand_from list ls log watch continue stop prune' -s j -l max-concurrent -x -d 'run at most N jobs at a time'
complete -c codex-agent-run -n 'not __fish_seen_subcommand_from list ls log watch continue stop prune' -l max-failures -x -d 'stop starting jobs after N failures'
complete -c codex-agent-run -n 'not __fish_seen_subcommand_from list ls log watch continue stop prune' -l retries -x -d 'retry a job up to N times on transient failures'
complete -c codex-agent-run -n 'not __fish_seen_subcommand_from list ls log watch continue stop prune' -l on-busy -x -a 'wait wait= skip fork fail' -d 'what to do with a session in use'
complete -c codex-agent-run -n 'not __fish_seen_subcommand_from list ls log watch continue stop prune' -l on-limit -x -a 'stop wait try' -d 'what to do at a usage limit'
complete -c codex-agent-run -n 'not __fish_seen_subcommand_from list ls log watch continue stop prune' -l timeout -x -d 'stop a job that takes longer, such as 90s or 1h30m'
complete -c codex-agent-run -n 'not __fish_seen_subcommand_from list ls log watch continue stop prune' -l idle-timeout -x -d 'stop a job that prints nothing for this long'
complete -c codex-agent-run -n 'not __fish_seen_subcommand_from list ls log watch continue stop prune' -l network-timeout -x -d 'stop a job that has no network for this long'
complete -c codex-agent-run -n 'not __fish_seen_subcommand_from list ls log watch continue stop prune' -l interrupted -x -a 'fail continue retry' -d 'what to do with a job that was interrupted'
complete -c codex-agent-run -n 'not __fish_seen_subcommand_from list ls log watch continue stop prune' -l codex -r -F -d 'the executable of Codex'
complete -c codex-agent-run -n 'not __fish_seen_subcommand_from list ls log watch continue stop prune' -l json -d 'events as records, one a line, each as it happens'
complete -c codex-agent-run -n 'not __fish_seen_subcommand_from list ls log watch continue stop prune' -l answers -d 'only the last message of each session'
complete -c codex-agent-run -n 'not __fish_seen_subcommand_from list ls log watch continue stop prune' -l events -d 'Codex\'s own events too, as job.event'
complete -c codex-agent-run -n 'not __fish_seen_subcommand_from list ls log watch continue stop prune' -s h -l help -d 'show this help'
complete -c codex-agent-run -n 'not __fish_seen_subcommand_from list ls log watch continue stop prune' -s V -l version -d 'show the version'
complete -c codex-agent-run -n 'not __fish_seen_subcommand_from list ls log watch continue stop prune' -s q -l quiet -d 'print no status, only warnings and errors, on standard error'
complete -c codex-agent-run -n '__fish_seen_subcommand_from list ls' -l json -d 'run records, one a line'
complete -c codex-agent-run -n '__fish_seen_subcommand_from list ls' -l color -x -a 'auto always never' -d 'when to colour tables'
complete -c codex-agent-run -n '__fish_seen_subcommand_from list ls' -s h -l help -d 'show this help'
complete -c codex-agent-run -n '__fish_seen_subcommand_from list ls' -s V -l version -d 'show the version'
complete -c codex-agent-run -n '__fish_seen_subcommand_from list ls' -s q -l quiet -d 'print no status, only warnings and errors, on standard error'
complete -c codex-agent-run -n '__fish_seen_subcommand_from log' -l json -d 'events as records, one a line'
complete -c codex-agent-run -n '__fish_seen_subcommand_from log' -l answers -d 'only the last message of each session'
complete -c codex-agent-run -n '__fish_seen_subcommand_from log' -l color -x -a 'auto always never' -d 'when to colour tables'
complete -c codex-agent-run -n '__fish_seen_subcommand_from log' -s h -l help -d 'show this help'
complete -c codex-agent-run -n '__fish_seen_subcommand_from log' -s V -l version -d 'show the version'
complete -c codex-agent-run -n '__fish_seen_subcommand_from log' -s q -l quiet -d 'print no status, only warnings and errors, on standard error'
complete -c codex-agent-run -n '__fish_seen_subcommand_from log' -f -a '(__codex_agent_runs)'
complete -c codex-agent-run -n '__fish_seen_subcommand_from watch' -l json -d 'events as records, one a line, each as it happens'
complete -c codex-agent-run -n '__fish_seen_subcommand_from watch' -l answers -d 'only the last message of each session'
complete -c codex-agent-run -n '__fish_seen_subcommand_from watch' -l events -d 'Codex\'s own events too, as job.event'
complete -c codex-agent-run -n '__fish_seen_subcommand_from watch' -s h -l help -d 'show this help'
complete -c codex-agent-run -n '__fish_seen_subcommand_from watch' -s V -l version -d 'show the version'
complete -c codex-agent-run -n '__fish_seen_subcommand_from watch' -s q -l quiet -d 'print no status, only warnings and errors, on standard error'
complete -c codex-agent-run -n '__fish_seen_subcommand_from watch' -f -a '(__codex_agent_runs)'
complete -c codex-agent-run -n '__fish_seen_subcommand_from continue' -s j -l max-concurrent -x -d 'run at most N jobs at a time'
complete -c codex-agent-run -n '__fish_seen_subcommand_from continue' -l max-failures -x -d 'stop starting jobs after N failures'
complete -c codex-agent-run -n '__fish_seen_subcommand_from continue' -l retries -x -d 'retry a job up to N times on transient failures'
complete -c codex-agent-run -n '__fish_seen_subcommand_from continue' -l on-busy -x -a 'wait wait= skip fork fail' -d 'what to do with a session in use'
complete -c codex-agent-run -n '__fish_seen_subcommand_from continue' -l on-limit -x -a 'stop wait try' -d 'what to do at a usage limit'
complete -c codex-agent-run -n '__fish_seen_subcommand_from continue' -l timeout -x -d 'stop a job that takes longer, such as 90s or 1h30m'
complete -c codex-agent-run -n '__fish_seen_subcommand_from continue' -l idle-timeout -x -d 'stop a job that prints nothing for this long'
complete -c codex-agent-run -n '__fish_seen_subcommand_from continue' -l network-timeout -x -d 'stop a job that has no network for this long'
complete -c codex-agent-run -n '__fish_seen_subcommand_from continue' -l interrupted -x -a 'fail continue retry' -d 'what to do with a job that was interrupted'
complete -c codex-agent-run -n '__fish_seen_subcommand_from continue' -l codex -r -F -d 'the executable of Codex'
complete -c codex-agent-run -n '__fish_seen_subcommand_from continue' -l json -d 'events as records, one a line, each as it happens'
complete -c codex-agent-run -n '__fish_seen_subcommand_from continue' -l answers -d 'only the last message of each session'
complete -c codex-agent-run -n '__fish_seen_subcommand_from continue' -l events -d 'Codex\'s own events too, as job.event'
complete -c codex-agent-run -n '__fish_seen_subcommand_from continue' -s h -l help -d 'show this help'
complete -c codex-agent-run -n '__fish_seen_subcommand_from continue' -s V -l version -d 'show the version'
complete -c codex-agent-run -n '__fish_seen_subcommand_from continue' -s q -l quiet -d 'print no status, only warnings and errors, on standard error'
complete -c codex-agent-run -n '__fish_seen_subcommand_from continue' -f -a '(__codex_agent_runs)'
complete -c codex-agent-run -n '__fish_seen_subcommand_from stop' -l now -d 'interrupt running jobs, instead of letting them finish'
complete -c codex-agent-run -n '__fish_seen_subcommand_from stop' -s h -l help -d 'show this help'
complete -c codex-agent-run -n '__fish_seen_subcommand_from stop' -s V -l version -d 'show the version'
complete -c codex-agent-run -n '__fish_seen_subcommand_from stop' -s q -l quiet -d 'print no status, only warnings and errors, on standard error'
complete -c codex-agent-run -n '__fish_seen_subcommand_from stop' -f -a '(__codex_agent_runs)'
complete -c codex-agent-run -n '__fish_seen_subcommand_from prune' -l older -x -d 'remove runs that ended before this time'
complete -c codex-agent-run -n '__fish_seen_subcommand_from prune' -l json -d 'the records of the removed runs'
complete -c codex-agent-run -n '__fish_seen_subcommand_from prune' -s h -l help -d 'show this help'
complete -c codex-agent-run -n '__fish_seen_subcommand_from prune' -s V -l version -d 'show the version'
complete -c codex-agent-run -n '__fish_seen_subcommand_from prune' -s q -l quiet -d 'print no status, only warnings and errors, on standard error'
