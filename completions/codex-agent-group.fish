# fish completion for codex-agent-group; made by 'codex-agent-group --generate fish'

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

complete -c codex-agent-group -f
complete -c codex-agent-group -n __fish_use_subcommand -a create -d 'create an empty group'
complete -c codex-agent-group -n __fish_use_subcommand -a list -d 'list the groups'
complete -c codex-agent-group -n __fish_use_subcommand -a show -d 'show a group and its sessions'
complete -c codex-agent-group -n __fish_use_subcommand -a add -d 'add sessions to a group'
complete -c codex-agent-group -n __fish_use_subcommand -a remove -d 'remove sessions from a group'
complete -c codex-agent-group -n __fish_use_subcommand -a rename -d 'rename a group'
complete -c codex-agent-group -n __fish_use_subcommand -a delete -d 'delete groups; their sessions stay'
complete -c codex-agent-group -n __fish_use_subcommand -a pause -d 'mark a group as paused'
complete -c codex-agent-group -n __fish_use_subcommand -a unpause -d 'unmark a paused group'
complete -c codex-agent-group -n __fish_use_subcommand -a run -d 'send a prompt to every session of a group'
complete -c codex-agent-group -n __fish_use_subcommand -a watch -d 'follow the sessions of a group'
complete -c codex-agent-group -n __fish_use_subcommand -a log -d 'print the log of the last run over a group'
complete -c codex-agent-group -n __fish_use_subcommand -s h -l help -d 'show this help'
complete -c codex-agent-group -n __fish_use_subcommand -s V -l version -d 'show the version'
complete -c codex-agent-group -n __fish_use_subcommand -s q -l quiet -d 'print no status, only warnings and errors, on standard error'
complete -c codex-agent-group -n '__fish_seen_subcommand_from create' -s d -l description -x -d 'what the group is for'
complete -c codex-agent-group -n '__fish_seen_subcommand_from create' -l json -d 'the group\'s record on standard output'
complete -c codex-agent-group -n '__fish_seen_subcommand_from create' -s h -l help -d 'show this help'
complete -c codex-agent-group -n '__fish_seen_subcommand_from create' -s V -l version -d 'show the version'
complete -c codex-agent-group -n '__fish_seen_subcommand_from create' -s q -l quiet -d 'print no status, only warnings and errors, on standard error'
complete -c codex-agent-group -n '__fish_seen_subcommand_from list ls' -l json -d 'group records, one a line'
complete -c codex-agent-group -n '__fish_seen_subcommand_from list ls' -l format -x -d 'a template such as \'{name}\\t{count}\''
complete -c codex-agent-group -n '__fish_seen_subcommand_from list ls' -l color -x -a 'auto always never' -d 'when to colour tables'
complete -c codex-agent-group -n '__fish_seen_subcommand_from list ls' -s h -l help -d 'show this help'
complete -c codex-agent-group -n '__fish_seen_subcommand_from list ls' -s V -l version -d 'show the version'
complete -c codex-agent-group -n '__fish_seen_subcommand_from list ls' -s q -l quiet -d 'print no status, only warnings and errors, on standard error'
complete -c codex-agent-group -n '__fish_seen_subcommand_from show' -l json -d 'group records, one a line'
complete -c codex-agent-group -n '__fish_seen_subcommand_from show' -l color -x -a 'auto always never' -d 'when to colour tables'
complete -c codex-agent-group -n '__fish_seen_subcommand_from show' -l codex-home -x -a '(__fish_complete_directories)' -d 'Codex\'s home, instead of CODEX_HOME or ~/.codex'
complete -c codex-agent-group -n '__fish_seen_subcommand_from show' -s h -l help -d 'show this help'
complete -c codex-agent-group -n '__fish_seen_subcommand_from show' -s V -l version -d 'show the version'
complete -c codex-agent-group -n '__fish_seen_subcommand_from show' -s q -l quiet -d 'print no status, only warnings and errors, on standard error'
complete -c codex-agent-group -n '__fish_seen_subcommand_from show' -f -a '(__codex_agent_groups)'
complete -c codex-agent-group -n '__fish_seen_subcommand_from add' -l json -d 'hand on the session records'
complete -c codex-agent-group -n '__fish_seen_subcommand_from add' -l existing -d 'refuse to create the group'
complete -c codex-agent-group -n '__fish_seen_subcommand_from add' -l unchecked -d 'take ids as they are, without looking whether Codex has them'
complete -c codex-agent-group -n '__fish_seen_subcommand_from add' -l codex-home -x -a '(__fish_complete_directories)' -d 'Codex\'s home, instead of CODEX_HOME or ~/.codex'
complete -c codex-agent-group -n '__fish_seen_subcommand_from add' -s h -l help -d 'show this help'
complete -c codex-agent-group -n '__fish_seen_subcommand_from add' -s V -l version -d 'show the version'
complete -c codex-agent-group -n '__fish_seen_subcommand_from add' -s q -l quiet -d 'print no status, only warnings and errors, on standard error'
complete -c codex-agent-group -n '__fish_seen_subcommand_from add; and test (__codex_agent_place --codex-home) -eq 1' -f -a '(__codex_agent_groups)'
complete -c codex-agent-group -n '__fish_seen_subcommand_from add; and test (__codex_agent_place --codex-home) -ge 2' -f -a '(__codex_agent_sessions)'
complete -c codex-agent-group -n '__fish_seen_subcommand_from remove' -l json -d 'hand on the session records'
complete -c codex-agent-group -n '__fish_seen_subcommand_from remove' -l codex-home -x -a '(__fish_complete_directories)' -d 'Codex\'s home, instead of CODEX_HOME or ~/.codex'
complete -c codex-agent-group -n '__fish_seen_subcommand_from remove' -s h -l help -d 'show this help'
complete -c codex-agent-group -n '__fish_seen_subcommand_from remove' -s V -l version -d 'show the version'
complete -c codex-agent-group -n '__fish_seen_subcommand_from remove' -s q -l quiet -d 'print no status, only warnings and errors, on standard error'
complete -c codex-agent-group -n '__fish_seen_subcommand_from remove; and test (__codex_agent_place --codex-home) -eq 1' -f -a '(__codex_agent_groups)'
complete -c codex-agent-group -n '__fish_seen_subcommand_from remove; and test (__codex_agent_place --codex-home) -ge 2' -f -a '(__codex_agent_sessions)'
complete -c codex-agent-group -n '__fish_seen_subcommand_from rename' -l json -d 'the group\'s record on standard output'
complete -c codex-agent-group -n '__fish_seen_subcommand_from rename' -s h -l help -d 'show this help'
complete -c codex-agent-group -n '__fish_seen_subcommand_from rename' -s V -l version -d 'show the version'
complete -c codex-agent-group -n '__fish_seen_subcommand_from rename' -s q -l quiet -d 'print no status, only warnings and errors, on standard error'
complete -c codex-agent-group -n '__fish_seen_subcommand_from rename; and test (__codex_agent_place) -eq 1' -f -a '(__codex_agent_groups)'
complete -c codex-agent-group -n '__fish_seen_subcommand_from delete' -l json -d 'the records of the deleted groups'
complete -c codex-agent-group -n '__fish_seen_subcommand_from delete' -s h -l help -d 'show this help'
complete -c codex-agent-group -n '__fish_seen_subcommand_from delete' -s V -l version -d 'show the version'
complete -c codex-agent-group -n '__fish_seen_subcommand_from delete' -s q -l quiet -d 'print no status, only warnings and errors, on standard error'
complete -c codex-agent-group -n '__fish_seen_subcommand_from delete' -f -a '(__codex_agent_groups)'
complete -c codex-agent-group -n '__fish_seen_subcommand_from pause' -l json -d 'the group\'s record on standard output'
complete -c codex-agent-group -n '__fish_seen_subcommand_from pause' -s h -l help -d 'show this help'
complete -c codex-agent-group -n '__fish_seen_subcommand_from pause' -s V -l version -d 'show the version'
complete -c codex-agent-group -n '__fish_seen_subcommand_from pause' -s q -l quiet -d 'print no status, only warnings and errors, on standard error'
complete -c codex-agent-group -n '__fish_seen_subcommand_from pause' -f -a '(__codex_agent_groups)'
complete -c codex-agent-group -n '__fish_seen_subcommand_from unpause resume' -l json -d 'the group\'s record on standard output'
complete -c codex-agent-group -n '__fish_seen_subcommand_from unpause resume' -s h -l help -d 'show this help'
complete -c codex-agent-group -n '__fish_seen_subcommand_from unpause resume' -s V -l version -d 'show the version'
complete -c codex-agent-group -n '__fish_seen_subcommand_from unpause resume' -s q -l quiet -d 'print no status, only warnings and errors, on standard error'
complete -c codex-agent-group -n '__fish_seen_subcommand_from unpause resume' -f -a '(__codex_agent_groups)'
complete -c codex-agent-group -n '__fish_seen_subcommand_from run' -s p -l prompt -x -d 'the prompt, which may begin with a dash'
complete -c codex-agent-group -n '__fish_seen_subcommand_from run' -l prompt-file -r -F -d 'one prompt, the whole of this file; - is standard input'
complete -c codex-agent-group -n '__fish_seen_subcommand_from run' -s i -l image -r -F -d 'an image to send with each prompt'
complete -c codex-agent-group -n '__fish_seen_subcommand_from run' -s m -l model -x -d 'the model'
complete -c codex-agent-group -n '__fish_seen_subcommand_from run' -s s -l sandbox -x -a 'read-only workspace-write danger-full-access' -d 'what Codex may touch'
complete -c codex-agent-group -n '__fish_seen_subcommand_from run' -s c -l config -x -d 'a setting of Codex\'s configuration'
complete -c codex-agent-group -n '__fish_seen_subcommand_from run' -l output-schema -r -F -d 'a JSON Schema that the last message must follow'
complete -c codex-agent-group -n '__fish_seen_subcommand_from run' -l skip-git-repo-check -d 'let Codex work outside of git'
complete -c codex-agent-group -n '__fish_seen_subcommand_from run' -l codex-arg -x -d 'one more argument for Codex, as it stands'
complete -c codex-agent-group -n '__fish_seen_subcommand_from run' -l dangerously-bypass-approvals-and-sandbox -d 'let Codex do everything; it must be written out'
complete -c codex-agent-group -n '__fish_seen_subcommand_from run' -s j -l max-concurrent -x -d 'run at most N jobs at a time'
complete -c codex-agent-group -n '__fish_seen_subcommand_from run' -l max-failures -x -d 'stop starting jobs after N failures'
complete -c codex-agent-group -n '__fish_seen_subcommand_from run' -l retries -x -d 'retry a job up to N times on transient failures'
complete -c codex-agent-group -n '__fish_seen_subcommand_from run' -l on-busy -x -a 'wait wait= skip fork fail' -d 'what to do with a session in use'
complete -c codex-agent-group -n '__fish_seen_subcommand_from run' -l on-limit -x -a 'stop wait try' -d 'what to do at a usage limit'
complete -c codex-agent-group -n '__fish_seen_subcommand_from run' -l timeout -x -d 'stop a job that takes longer, such as 90s or 1h30m'
complete -c codex-agent-group -n '__fish_seen_subcommand_from run' -l idle-timeout -x -d 'stop a job that prints nothing for this long'
complete -c codex-agent-group -n '__fish_seen_subcommand_from run' -l network-timeout -x -d 'stop a job that has no network for this long'
complete -c codex-agent-group -n '__fish_seen_subcommand_from run' -l interrupted -x -a 'fail continue retry' -d 'what to do with a job that was interrupted'
complete -c codex-agent-group -n '__fish_seen_subcommand_from run' -l codex -r -F -d 'the executable of Codex'
complete -c codex-agent-group -n '__fish_seen_subcommand_from run' -l new -d 'begin a new run although one of the same kind has work left'
complete -c codex-agent-group -n '__fish_seen_subcommand_from run' -s n -l dry-run -d 'print the jobs as records, and do nothing'
complete -c codex-agent-group -n '__fish_seen_subcommand_from run' -l codex-home -x -a '(__fish_complete_directories)' -d 'Codex\'s home, instead of CODEX_HOME or ~/.codex'
complete -c codex-agent-group -n '__fish_seen_subcommand_from run' -l json -d 'events as records, one a line, each as it happens'
complete -c codex-agent-group -n '__fish_seen_subcommand_from run' -l answers -d 'only the last message of each session'
complete -c codex-agent-group -n '__fish_seen_subcommand_from run' -l events -d 'Codex\'s own events too, as job.event'
complete -c codex-agent-group -n '__fish_seen_subcommand_from run' -s h -l help -d 'show this help'
complete -c codex-agent-group -n '__fish_seen_subcommand_from run' -s V -l version -d 'show the version'
complete -c codex-agent-group -n '__fish_seen_subcommand_from run' -s q -l quiet -d 'print no status, only warnings and errors, on standard error'
complete -c codex-agent-group -n '__fish_seen_subcommand_from run' -f -a '(__codex_agent_groups)'
complete -c codex-agent-group -n '__fish_seen_subcommand_from watch' -l json -d 'events as records, one a line, each as it happens'
complete -c codex-agent-group -n '__fish_seen_subcommand_from watch' -l answers -d 'only the last message of each session'
complete -c codex-agent-group -n '__fish_seen_subcommand_from watch' -l events -d 'Codex\'s own events too, as job.event'
complete -c codex-agent-group -n '__fish_seen_subcommand_from watch' -l codex-home -x -a '(__fish_complete_directories)' -d 'Codex\'s home, instead of CODEX_HOME or ~/.codex'
complete -c codex-agent-group -n '__fish_seen_subcommand_from watch' -s h -l help -d 'show this help'
complete -c codex-agent-group -n '__fish_seen_subcommand_from watch' -s V -l version -d 'show the version'
complete -c codex-agent-group -n '__fish_seen_subcommand_from watch' -s q -l quiet -d 'print no status, only warnings and errors, on standard error'
complete -c codex-agent-group -n '__fish_seen_subcommand_from watch' -f -a '(__codex_agent_groups)'
complete -c codex-agent-group -n '__fish_seen_subcommand_from log' -l json -d 'events as records, one a line'
complete -c codex-agent-group -n '__fish_seen_subcommand_from log' -l answers -d 'only the last message of each session'
complete -c codex-agent-group -n '__fish_seen_subcommand_from log' -s h -l help -d 'show this help'
complete -c codex-agent-group -n '__fish_seen_subcommand_from log' -s V -l version -d 'show the version'
complete -c codex-agent-group -n '__fish_seen_subcommand_from log' -s q -l quiet -d 'print no status, only warnings and errors, on standard error'
complete -c codex-agent-group -n '__fish_seen_subcommand_from log' -f -a '(__codex_agent_groups)'
