# bash completion for airbridged(8)                        -*- shell-script -*-

_airbridged() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
    if [[ $cur == = ]]; then cur=''; elif [[ $prev == = ]]; then prev=${COMP_WORDS[COMP_CWORD - 2]}; fi
    COMPREPLY=()
    if [[ $prev == --config || $cur != -* && ${COMP_WORDS[COMP_CWORD]} == = ]]; then
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
    else
        mapfile -t COMPREPLY < <(compgen -W '--config --check-config --dump --version --help' -- "$cur")
    fi
}

complete -F _airbridged airbridged
