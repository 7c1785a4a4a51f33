# fish completion for codex-agent-resume; made by 'codex-agent-resume --generate fish'

function __codex_agent_sessions
    begin; codex-agent ls -n 200 --no-files --format '{id}\t{title}' 2>/dev/null || codex-agent ls -n 200 --format '{id}\t{title}' 2>/dev/null; end | LC_ALL=C tr -d '\001-\010\013-\037\177' | string sub -l 130
    printf '%s\t%s\n' @ 'the newest here' @@ 'the newest'
end

# A backslash comes doubled.
function __codex_agent_groups
    codex-agent group list --format '{name}' 2>/dev/null | string replace -a '\\\\' '\\'
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

complete -c codex-agent-resume -f
complete -c codex-agent-resume -l cwd -x -a '(__fish_complete_directories)' -d 'open it there, instead of in the session\'s directory'
complete -c codex-agent-resume -s m -l model -x -d 'with this model'
complete -c codex-agent-resume -s s -l sandbox -x -a 'read-only workspace-write danger-full-access' -d 'read-only, workspace-write or danger-full-access'
complete -c codex-agent-resume -l config -x -d 'a setting of Codex for this time'
complete -c codex-agent-resume -l codex-arg -x -d 'one more argument for \'codex resume\', as it stands'
complete -c codex-agent-resume -l print -d 'print the command instead of running it'
complete -c codex-agent-resume -l json -d 'with --print: a record'
complete -c codex-agent-resume -l codex-home -x -a '(__fish_complete_directories)' -d 'Codex\'s home, instead of CODEX_HOME or ~/.codex'
complete -c codex-agent-resume -l codex -r -F -d 'the executable of Codex'
complete -c codex-agent-resume -s h -l help -d 'show this help'
complete -c codex-agent-resume -s V -l version -d 'show the version'
complete -c codex-agent-resume -f -a '(__codex_agent_sessions)'
