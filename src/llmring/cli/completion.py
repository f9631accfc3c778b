"""`llmring completion`: scripts that let a shell complete `llmring`. They ask `llmring` itself at every press of Tab, in the words
that click answers (`_LLMRING_COMPLETE=fish_complete`: lines of `kind,value<tab>help`).
"""

from __future__ import annotations

from typing import Final

import click

from llmring.cli.output import write

# Bash cuts words at colons, and models have one: what stands before the last colon is on the command line already, and is cut off.
_BASH: Final = r"""# llmring: completion for bash. In ~/.bashrc:  source <(llmring completion bash)
_llmring_completion() {
    local line word given reply kind value
    line=${COMP_LINE:0:COMP_POINT}
    word=${line##*[[:space:]]}
    given=
    if [[ $COMP_WORDBREAKS == *:* && $word == *:* ]]; then
        given=${word%"${word##*:}"}
    fi
    COMPREPLY=()
    while IFS= read -r reply; do
        kind=${reply%%,*}
        value=${reply#*,}
        value=${value%%$'\t'*}
        case $kind in
            plain) COMPREPLY+=("${value#"$given"}") ;;
            file) compopt -o default ;;
            dir) compopt -o dirnames ;;
        esac
    done < <(_LLMRING_COMPLETE=fish_complete COMP_WORDS="$line" COMP_CWORD="$word" "$1" 2>/dev/null)
}
complete -o nosort -F _llmring_completion llmring
"""

_ZSH: Final = r"""#compdef llmring
# llmring: completion for zsh. In ~/.zshrc, below compinit:  source <(llmring completion zsh)
_llmring() {
    local reply kind value
    local -a values
    for reply in "${(@f)$(_LLMRING_COMPLETE=fish_complete COMP_WORDS="${(j: :)words[1,CURRENT]}" \
            COMP_CWORD="${words[CURRENT]}" "${words[1]}" 2>/dev/null)}"; do
        kind=${reply%%,*}
        value=${reply#*,}
        value=${value%%$'\t'*}
        case $kind in
            plain) values+=("$value") ;;
            file) _files ;;
            dir) _files -/ ;;
        esac
    done
    if (( ${#values} )); then
        compadd -V llmring -- "${values[@]}"
    fi
}
if [[ ${zsh_eval_context[-1]} == loadautofunc ]]; then
    _llmring "$@"
else
    compdef _llmring llmring
fi
"""

_FISH: Final = r"""# llmring: completion for fish. Once:  llmring completion fish > ~/.config/fish/completions/llmring.fish
function __llmring_completion
    set -l line (commandline -cp)
    set -l word (commandline -ct)
    for reply in (_LLMRING_COMPLETE=fish_complete COMP_WORDS="$line" COMP_CWORD="$word" llmring 2>/dev/null)
        set -l parts (string split -m 1 , -- $reply)
        switch $parts[1]
            case plain
                printf '%s\n' $parts[2]
            case file
                __fish_complete_path $word
            case dir
                __fish_complete_directories $word
        end
    end
end
complete --no-files --command llmring --arguments "(__llmring_completion)"
"""

_SCRIPTS: Final = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


@click.command("completion", short_help="Print a script that completes llmring in a shell.")
@click.argument("shell", type=click.Choice(sorted(_SCRIPTS)))
def command(shell: str) -> None:
    """Print the script that completes `llmring` in SHELL: commands, options, profiles, aliases and models.

    \b
    bash: source <(llmring completion bash)      in ~/.bashrc
    zsh:  source <(llmring completion zsh)       in ~/.zshrc, below compinit
    fish: llmring completion fish > ~/.config/fish/completions/llmring.fish
    """
    write(_SCRIPTS[shell])
