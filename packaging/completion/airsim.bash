# bash completion for airsim(1)                            -*- shell-script -*-

_airsim_flags='--personality --link --baud --rtt --latency --product-key --product-secret --device --imei --iccid
    --operator --apn --csq --no-sim --control --script --broker --web --unpack --seed --token-life --connects-per-minute --quota-qos1 --quota-qos0
    --strict-registration --log --version --help'

# _airsim_orders: what a running airsim can be told to do, as it lists it.
_airsim_orders() {
    airsim 'do' "$@" help 2>/dev/null | sed -n '/^count is/d; s/^\([a-z][a-z-]*\).*/\1/p'
}

_airsim() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} words='' i control=()
    if [[ $cur == = ]]; then cur=''; elif [[ $prev == = ]]; then prev=${COMP_WORDS[COMP_CWORD - 2]}; fi
    COMPREPLY=()
    case $prev in
    --personality) words='2g air724 air780e air780ep air780epm air780el air700eaq unsupported' ;;
    --baud) words='0 9600 57600 115200 230400 460800 921600' ;;
    --link | --control | --script)
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        return
        ;;
    --rtt | --product-key | --product-secret | --device | --imei | --iccid | --operator | --apn | --csq | --broker | --web | --unpack | --seed | --token-life | --connects-per-minute | --quota-qos1 | --quota-qos0) return ;;
    *)
        if [[ ${COMP_WORDS[1]} == 'do' ]] && ((COMP_CWORD > 1)); then
            for ((i = 2; i < COMP_CWORD; i++)); do
                if [[ ${COMP_WORDS[i]} == --control ]]; then control=(--control "${COMP_WORDS[i + 1]}"); fi
            done
            if [[ $cur == -* ]]; then words='--control --help'; else words=$(_airsim_orders "${control[@]}"); fi
        elif [[ $cur == -* ]]; then
            words=$_airsim_flags
        elif ((COMP_CWORD == 1)); then
            words="do $_airsim_flags"
        fi
        ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}

complete -F _airsim airsim
