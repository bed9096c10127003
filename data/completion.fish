# SPDX-License-Identifier: GPL-2.0-or-later
# Completion of corefold(8) in fish.
# The words are those that the program's own help prints, so they cannot go stale.

# The program and the command as they were typed; nothing where there is no command yet.
function __corefold_words
    commandline -opc
end

function __corefold_commands
    set -l words (__corefold_words)
    $words[1] --help 2>/dev/null | string replace -rf '^  ([a-z]+) +(.*)' '$1\t$2'
    printf '%s\n' --help --version
end

# Both forms of each option, "--name=" where an argument must follow
function __corefold_options
    set -l words (__corefold_words)
    for line in ($words[1] $words[2] --help 2>/dev/null | string match -r '^ +-.*')
        set -l help (string replace -r '^ +\S+( ?--\S+| [A-Z]+)? +' '' -- $line)
        for option in (string match -ar -- '(?<=^  )-[A-Za-z0-9](?=[ ,])|(?<= )--[a-z-]+=?' $line)
            printf '%s\t%s\n' $option $help
        end
    end
end

# Empty for who may not read the state.
function __corefold_ids
    set -l words (__corefold_words)
    set -l config
    if set -l at (contains -i -- -C $words; or contains -i -- --config $words)
        set config -C $words[(math $at + 1)]
    end
    echo last
    $words[1] list $config 2>/dev/null | string replace -rf '^\S+ \S+ +(\S+).*' '$1' | string match -v ID
end

# Is it one of these commands, and no option before the cursor that takes the next word?
function __corefold_wants
    set -l words (__corefold_words)
    contains -- "$words[2]" $argv; or return 1
    string match -q -- '-*' $words[-1]; or return 0
    not $words[1] $words[2] --help 2>/dev/null | string match -qr -- "^ +(-[A-Za-z0-9], )?$words[-1](, --[a-z-]+)?[= ][A-Z]"
end

complete -c corefold -n 'test (count (__corefold_words)) -eq 1' -f -a '(__corefold_commands)'
complete -c corefold -n 'test (count (__corefold_words)) -gt 1; and string match -q -- "-*" (commandline -ct)' -f -a '(__corefold_options)'
complete -c corefold -n '__corefold_wants info dump export' -f -a '(__corefold_ids)'
# An archive of another machine, too
complete -c corefold -n '__corefold_wants debug' -a '(__corefold_ids)'
