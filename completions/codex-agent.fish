# fish completion for codex-agent
#
# Offers the tools, then hands over to the completion of codex-agent-NAME: the one that is there, or
# else what the tool brings, where codex-agent-plugin(1) knows that it may.
function __codex_agent_tool
    set -l words (commandline -opc)
    set -e words[1]
    while set -q words[1]
        switch $words[1]
            case -C --directory --codex-home --config-home
                set -e words[1]
                set -q words[1]; and set -e words[1]
            case '-*'
                set -e words[1]
            case '*'
                string join \n -- $words
                return 0
        end
    end
    return 1
end
function __codex_agent_complete_tool
    set -l words (__codex_agent_tool); or return
    if test "$words[1]" = help
        codex-agent --list 2>/dev/null | cut -f1,2
        printf '%s\t%s\n' guide 'the map of all tools' records 'the records' files 'the files' plugins 'how to write a tool'
    else
        if string match -qr '^[a-z0-9][a-z0-9-]*$' -- $words[1]
            if not complete -c codex-agent-$words[1] | string match -q '*'
                # Whatever is installed for a command is loaded when something is asked of it.
                complete -C "codex-agent-$words[1] -" >/dev/null 2>&1
            end
            if not complete -c codex-agent-$words[1] | string match -q '*'
                # fish tells of a script that it cannot read, whatever becomes of its messages.
                set -l script (codex-agent plugin completion $words[1] fish 2>/dev/null)
                if printf '%s\n' $script | command fish --no-execute >/dev/null 2>&1
                    printf '%s\n' $script | source >/dev/null 2>&1
                end
            end
        end
        complete -C "codex-agent-"(string join ' ' -- (string escape -- $words))" "(commandline -ct)
    end
end
complete -c codex-agent -f
complete -c codex-agent -n 'not __codex_agent_tool >/dev/null' -a '(codex-agent --list 2>/dev/null | cut -f1,2)'
complete -c codex-agent -n 'not __codex_agent_tool >/dev/null' -a help -d 'open the manual of a tool'
complete -c codex-agent -n 'not __codex_agent_tool >/dev/null' -s C -l directory -x -a '(__fish_complete_directories)' -d 'run as if started in DIR'
complete -c codex-agent -n 'not __codex_agent_tool >/dev/null' -l codex-home -x -a '(__fish_complete_directories)' -d 'Codex\'s home, for the tool'
complete -c codex-agent -n 'not __codex_agent_tool >/dev/null' -l config-home -x -a '(__fish_complete_directories)' -d 'where settings and groups are kept'
complete -c codex-agent -n 'not __codex_agent_tool >/dev/null' -l list -f -a json -d 'list the tools that are found'
complete -c codex-agent -n 'not __codex_agent_tool >/dev/null' -l exec-path -d 'print the folders that tools are looked for in'
complete -c codex-agent -n 'not __codex_agent_tool >/dev/null' -s h -l help -d 'show this help'
complete -c codex-agent -n 'not __codex_agent_tool >/dev/null' -s V -l version -d 'show the version'
complete -c codex-agent -n '__codex_agent_tool >/dev/null' -a '(__codex_agent_complete_tool)'
