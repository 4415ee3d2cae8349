# Prints what zsh proposes at the end of command lines: for each line its words,
# one a line, and an empty line.
#
#   zsh -f capture.zsh DIRECTORY LINE...
#
# DIRECTORY holds the completion functions. An interactive zsh on a
# pseudo-terminal sources this file too, gets each LINE and a tab, and prints
# what it would propose.

if [[ $1 != --child ]]; then
    zmodload zsh/zpty || exit 3
    zpty child zsh -f -i
    zpty -w child "source ${(q)0:A} --child ${(q)1}"
    zpty -r -m child text $'*\x01ready*' || exit 4
    for line in "${@[2,-1]}"; do
        zpty -w -n child $'\x15'"$line"$'\t'
        zpty -r -m child text $'*\x01end*' || exit 5
        print -r -- "$text" | tr -d '\r' | sed -n 's/^.*\x01word://p' | sort -u
        print
    done
    zpty -d child
    exit
fi

PROMPT='' RPROMPT=''
fpath=($2 $fpath)
autoload -Uz compinit && compinit -u -D
unsetopt beep

compadd() {
    # With -O, -A and -D it proposes nothing, but asks what would match.
    if [[ ${@[1,(i)(-|--)]} != *-(O|A|D)\ * ]]; then
        local -a words
        builtin compadd -A words "$@"
        (( $#words )) && print -rl -- $'\x01word:'$^words
    fi
    builtin compadd "$@"
}

answer() {
    comppostfuncs=(answer) # each holds for one completion
    compstate[insert]='' compstate[list]=''
    print -r -- $'\x01end'
}
comppostfuncs=(answer)
bindkey '^I' complete-word
bindkey '^U' kill-whole-line
print -r -- $'\x01ready'
