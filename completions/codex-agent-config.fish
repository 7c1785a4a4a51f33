# fish completion for codex-agent-config; made by 'codex-agent-config --generate fish'

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

complete -c codex-agent-config -f
complete -c codex-agent-config -n __fish_use_subcommand -a list -d 'list the settings and where each comes from'
complete -c codex-agent-config -n __fish_use_subcommand -a get -d 'print one setting'
complete -c codex-agent-config -n __fish_use_subcommand -a path -d 'print where config.toml is looked for'
complete -c codex-agent-config -n __fish_use_subcommand -a check -d 'report problems in config.toml'
complete -c codex-agent-config -n __fish_use_subcommand -a edit -d 'open config.toml in an editor, then check it'
complete -c codex-agent-config -n 'not __fish_seen_subcommand_from list get path check edit' -l json -d 'setting and alias records, one a line'
complete -c codex-agent-config -n 'not __fish_seen_subcommand_from list get path check edit' -l codex-home -x -a '(__fish_complete_directories)' -d 'Codex\'s home, instead of CODEX_HOME or ~/.codex'
complete -c codex-agent-config -n 'not __fish_seen_subcommand_from list get path check edit' -l codex -r -F -d 'the executable of Codex'
complete -c codex-agent-config -n 'not __fish_seen_subcommand_from list get path check edit' -l color -x -a 'auto always never' -d 'when to colour tables'
complete -c codex-agent-config -n 'not __fish_seen_subcommand_from list get path check edit' -s h -l help -d 'show this help'
complete -c codex-agent-config -n 'not __fish_seen_subcommand_from list get path check edit' -s V -l version -d 'show the version'
complete -c codex-agent-config -n 'not __fish_seen_subcommand_from list get path check edit' -s q -l quiet -d 'print no status, only warnings and errors, on standard error'
complete -c codex-agent-config -n '__fish_seen_subcommand_from list' -l json -d 'setting and alias records, one a line'
complete -c codex-agent-config -n '__fish_seen_subcommand_from list' -l codex-home -x -a '(__fish_complete_directories)' -d 'Codex\'s home, instead of CODEX_HOME or ~/.codex'
complete -c codex-agent-config -n '__fish_seen_subcommand_from list' -l codex -r -F -d 'the executable of Codex'
complete -c codex-agent-config -n '__fish_seen_subcommand_from list' -l color -x -a 'auto always never' -d 'when to colour tables'
complete -c codex-agent-config -n '__fish_seen_subcommand_from list' -s h -l help -d 'show this help'
complete -c codex-agent-config -n '__fish_seen_subcommand_from list' -s V -l version -d 'show the version'
complete -c codex-agent-config -n '__fish_seen_subcommand_from list' -s q -l quiet -d 'print no status, only warnings and errors, on standard error'
complete -c codex-agent-config -n '__fish_seen_subcommand_from get' -l json -d 'setting and alias records, one a line'
complete -c codex-agent-config -n '__fish_seen_subcommand_from get' -l codex-home -x -a '(__fish_complete_directories)' -d 'Codex\'s home, instead of CODEX_HOME or ~/.codex'
complete -c codex-agent-config -n '__fish_seen_subcommand_from get' -l codex -r -F -d 'the executable of Codex'
complete -c codex-agent-config -n '__fish_seen_subcommand_from get' -l color -x -a 'auto always never' -d 'when to colour tables'
complete -c codex-agent-config -n '__fish_seen_subcommand_from get' -s h -l help -d 'show this help'
complete -c codex-agent-config -n '__fish_seen_subcommand_from get' -s V -l version -d 'show the version'
complete -c codex-agent-config -n '__fish_seen_subcommand_from get' -s q -l quiet -d 'print no status, only warnings and errors, on standard error'
complete -c codex-agent-config -n '__fish_seen_subcommand_from get; and test (__codex_agent_place --codex-home --codex --color) -eq 1' -f -a '(codex-agent-config list 2>/dev/null | cut -f1,2)'
complete -c codex-agent-config -n '__fish_seen_subcommand_from path' -s h -l help -d 'show this help'
complete -c codex-agent-config -n '__fish_seen_subcommand_from path' -s V -l version -d 'show the version'
complete -c codex-agent-config -n '__fish_seen_subcommand_from path' -s q -l quiet -d 'print no status, only warnings and errors, on standard error'
complete -c codex-agent-config -n '__fish_seen_subcommand_from check' -l json -d 'config.problem records, one a line'
complete -c codex-agent-config -n '__fish_seen_subcommand_from check' -s h -l help -d 'show this help'
complete -c codex-agent-config -n '__fish_seen_subcommand_from check' -s V -l version -d 'show the version'
complete -c codex-agent-config -n '__fish_seen_subcommand_from check' -s q -l quiet -d 'print no status, only warnings and errors, on standard error'
complete -c codex-agent-config -n '__fish_seen_subcommand_from edit' -s h -l help -d 'show this help'
complete -c codex-agent-config -n '__fish_seen_subcommand_from edit' -s V -l version -d 'show the version'
complete -c codex-agent-config -n '__fish_seen_subcommand_from edit' -s q -l quiet -d 'print no status, only warnings and errors, on standard error'
