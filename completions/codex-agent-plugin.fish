# fish completion for codex-agent-plugin; made by 'codex-agent-plugin --generate fish'

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

complete -c codex-agent-plugin -f
complete -c codex-agent-plugin -n __fish_use_subcommand -a list -d 'list the tools and their summaries'
complete -c codex-agent-plugin -n __fish_use_subcommand -a which -d 'print the path of the executable that is run'
complete -c codex-agent-plugin -n __fish_use_subcommand -a describe -d 'print the description of a tool'
complete -c codex-agent-plugin -n __fish_use_subcommand -a add -d 'write the descriptions of tools, by asking them'
complete -c codex-agent-plugin -n __fish_use_subcommand -a remove -d 'remove descriptions of your own'
complete -c codex-agent-plugin -n __fish_use_subcommand -a check -d 'check whether a tool keeps the rules'
complete -c codex-agent-plugin -n __fish_use_subcommand -a completion -d 'print a script that completes a tool in a shell'
complete -c codex-agent-plugin -n __fish_use_subcommand -a candidates -d 'print the candidates of the completion hook of a tool'
complete -c codex-agent-plugin -n __fish_use_subcommand -s h -l help -d 'show this help'
complete -c codex-agent-plugin -n __fish_use_subcommand -s V -l version -d 'show the version'
complete -c codex-agent-plugin -n __fish_use_subcommand -s q -l quiet -d 'print no status, only warnings and errors, on standard error'
complete -c codex-agent-plugin -n '__fish_seen_subcommand_from list ls' -l json -d 'records of type tool and plugin.problem, one a line'
complete -c codex-agent-plugin -n '__fish_seen_subcommand_from list ls' -s h -l help -d 'show this help'
complete -c codex-agent-plugin -n '__fish_seen_subcommand_from list ls' -s V -l version -d 'show the version'
complete -c codex-agent-plugin -n '__fish_seen_subcommand_from list ls' -s q -l quiet -d 'print no status, only warnings and errors, on standard error'
complete -c codex-agent-plugin -n '__fish_seen_subcommand_from which' -s a -l all -d 'print the executables that are not run, too'
complete -c codex-agent-plugin -n '__fish_seen_subcommand_from which' -s h -l help -d 'show this help'
complete -c codex-agent-plugin -n '__fish_seen_subcommand_from which' -s V -l version -d 'show the version'
complete -c codex-agent-plugin -n '__fish_seen_subcommand_from which' -s q -l quiet -d 'print no status, only warnings and errors, on standard error'
complete -c codex-agent-plugin -n '__fish_seen_subcommand_from which' -f -a '(codex-agent --list 2>/dev/null | cut -f1,2)'
complete -c codex-agent-plugin -n '__fish_seen_subcommand_from describe' -l json -d 'the tool\'s record'
complete -c codex-agent-plugin -n '__fish_seen_subcommand_from describe' -s h -l help -d 'show this help'
complete -c codex-agent-plugin -n '__fish_seen_subcommand_from describe' -s V -l version -d 'show the version'
complete -c codex-agent-plugin -n '__fish_seen_subcommand_from describe' -s q -l quiet -d 'print no status, only warnings and errors, on standard error'
complete -c codex-agent-plugin -n '__fish_seen_subcommand_from describe' -f -a '(codex-agent --list 2>/dev/null | cut -f1,2)'
complete -c codex-agent-plugin -n '__fish_seen_subcommand_from add' -l about -x -d 'describe the tool with this summary, without running it'
complete -c codex-agent-plugin -n '__fish_seen_subcommand_from add' -l json -d 'tool records, one a line'
complete -c codex-agent-plugin -n '__fish_seen_subcommand_from add' -s h -l help -d 'show this help'
complete -c codex-agent-plugin -n '__fish_seen_subcommand_from add' -s V -l version -d 'show the version'
complete -c codex-agent-plugin -n '__fish_seen_subcommand_from add' -s q -l quiet -d 'print no status, only warnings and errors, on standard error'
complete -c codex-agent-plugin -n '__fish_seen_subcommand_from add' -f -a '(codex-agent --list 2>/dev/null | cut -f1,2)'
complete -c codex-agent-plugin -n '__fish_seen_subcommand_from remove' -s h -l help -d 'show this help'
complete -c codex-agent-plugin -n '__fish_seen_subcommand_from remove' -s V -l version -d 'show the version'
complete -c codex-agent-plugin -n '__fish_seen_subcommand_from remove' -s q -l quiet -d 'print no status, only warnings and errors, on standard error'
complete -c codex-agent-plugin -n '__fish_seen_subcommand_from remove' -f -a '(codex-agent --list 2>/dev/null | cut -f1,2)'
complete -c codex-agent-plugin -n '__fish_seen_subcommand_from check' -l only -x -a 'name starts help help-short bad-usage describe generates completes version empty-input no-escapes rows closed-pipe interrupt terminate records own-fields foreign-fields foreign-types bad-line bounded-memory codex-home leaves-nothing' -d 'make this check alone; may be given more than once'
complete -c codex-agent-plugin -n '__fish_seen_subcommand_from check' -l input -r -F -d 'feed the tool these records, instead of those of the sample home'
complete -c codex-agent-plugin -n '__fish_seen_subcommand_from check' -l json -d 'records of type plugin.check, one a line'
complete -c codex-agent-plugin -n '__fish_seen_subcommand_from check' -l color -x -a 'auto always never' -d 'when to colour tables'
complete -c codex-agent-plugin -n '__fish_seen_subcommand_from check' -s h -l help -d 'show this help'
complete -c codex-agent-plugin -n '__fish_seen_subcommand_from check' -s V -l version -d 'show the version'
complete -c codex-agent-plugin -n '__fish_seen_subcommand_from check' -s q -l quiet -d 'print no status, only warnings and errors, on standard error'
complete -c codex-agent-plugin -n '__fish_seen_subcommand_from check; and test (__codex_agent_place --only --input --color) -eq 1' -f -a '(codex-agent --list 2>/dev/null | cut -f1,2)'
complete -c codex-agent-plugin -n '__fish_seen_subcommand_from completion' -s h -l help -d 'show this help'
complete -c codex-agent-plugin -n '__fish_seen_subcommand_from completion' -s V -l version -d 'show the version'
complete -c codex-agent-plugin -n '__fish_seen_subcommand_from completion' -s q -l quiet -d 'print no status, only warnings and errors, on standard error'
complete -c codex-agent-plugin -n '__fish_seen_subcommand_from completion; and test (__codex_agent_place) -eq 1' -f -a '(codex-agent --list 2>/dev/null | cut -f1,2)'
complete -c codex-agent-plugin -n '__fish_seen_subcommand_from candidates' -s h -l help -d 'show this help'
complete -c codex-agent-plugin -n '__fish_seen_subcommand_from candidates' -s V -l version -d 'show the version'
complete -c codex-agent-plugin -n '__fish_seen_subcommand_from candidates' -s q -l quiet -d 'print no status, only warnings and errors, on standard error'
complete -c codex-agent-plugin -n '__fish_seen_subcommand_from candidates; and test (__codex_agent_place) -eq 1' -f -a '(codex-agent --list 2>/dev/null | cut -f1,2)'
