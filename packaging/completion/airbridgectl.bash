# bash completion for airbridgectl(1)                      -*- shell-script -*-

# _airbridgectl_flags COMMAND: the flags of a command, its own first.
_airbridgectl_flags() {
    local own=''
    case $1 in
    pub) own='--qos --wait --ttl --priority --latest --key -t -m -f -l -q -r' ;;
    sub) own='-n -t -v -C --name' ;;
    status) own='--check --watch' ;;
    events) own='-f -n' ;;
    doctor) own='--config --take-port' ;;
    trace) own='-f' ;;
    at) own='--force' ;;
    reprovision) own='--yes' ;;
    rrpc) own='--exec -n' ;;
    config) own='--all' ;;
    outbox) own='-n --watch' ;;
    'outbox drop') own='--topic --foreign' ;;
    'subscriptions drop') own='--kind' ;;
    'access check') own='--user --client' ;;
    '') own='--version' ;;
    esac
    printf '%s' "$own --socket --json --color --help"
}

# _airbridgectl_values FLAG: what a flag takes; nothing for one that takes
# nothing, and a dash where nothing can be proposed.
_airbridgectl_values() {
    case $1 in
    --qos | -q) echo 0 1 ;;
    --priority) echo high normal low ;;
    --color) echo auto always never ;;
    --kind) echo http mqtt ;;
    --wait | --ttl) echo 10s 1m 1h ;;
    --socket | --config | --exec | --user | --client | --topic | --name | -n) echo - ;;
    esac
}

# _airbridgectl_ids: the messages that wait, as the daemon lists them.
_airbridgectl_ids() {
    airbridgectl "$@" outbox -n 100 --json 2>/dev/null | sed -n 's/.*"id":"\([0-9a-z]*\)".*/\1/p'
}

_airbridgectl() {
    local cur=${COMP_WORDS[COMP_CWORD]} flag='' command='' word i socket=() arguments=0
    COMPREPLY=()

    # Bash cuts --flag=value into three words.
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if [[ -n $flag ]]; then
            if [[ $word == = ]]; then continue; fi
            if [[ $flag == --socket ]]; then socket=(--socket "$word"); fi
            flag=''
        elif [[ $word == -* ]]; then
            if [[ -n $(_airbridgectl_values "$word") ]]; then flag=$word; fi
        elif [[ -z $command ]]; then
            command=$word
        elif [[ $command == outbox && $word =~ ^(drop|retarget|verify)$ ]]; then
            command="outbox $word"
        elif [[ $command == subscriptions && $word == drop ]]; then
            command='subscriptions drop'
        elif [[ $command == access && $word == check ]]; then
            command='access check'
        else
            arguments=$((arguments + 1))
        fi
    done
    if [[ $cur == = ]]; then cur=''; fi

    local words=''
    if [[ $flag == --socket || $flag == --config ]]; then
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        return
    elif [[ -n $flag ]]; then
        words=$(_airbridgectl_values "$flag")
        if [[ $words == - ]]; then return; fi
    elif [[ $cur == -* ]]; then
        words=$(_airbridgectl_flags "$command")
    else
        case $command in
        '') words='status pub sub topic message events outbox subscriptions data doctor trace at reconnect rrpc reprovision access config reload version help' ;;
        help) words='status pub sub topic message events outbox subscriptions data doctor trace at reconnect rrpc reprovision access config reload version' ;;
        outbox) words='drop retarget verify' ;;
        subscriptions) words='drop' ;;
        access) words='check' ;;
        'access check') words='publish subscribe' ;;
        topic) words='update get' ;;
        message | 'outbox drop') words=$(_airbridgectl_ids "${socket[@]}") ;;
        trace)
            compopt -o filenames 2>/dev/null
            mapfile -t COMPREPLY < <(compgen -f -- "$cur")
            return
            ;;
        'outbox verify')
            compopt -o filenames 2>/dev/null
            mapfile -t COMPREPLY < <(compgen -d -- "$cur")
            return
            ;;
        esac
        if ((arguments > 0)) && [[ $command != 'outbox drop' ]]; then words=''; fi
    fi
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}

complete -F _airbridgectl airbridgectl
