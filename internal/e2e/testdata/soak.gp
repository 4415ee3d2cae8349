# Draws samples.csv and faults.csv of a soak; kind is svg or png.
if (kind eq 'svg') set terminal svg size 900,1040 font 'sans-serif,12' background '#ffffff'
if (kind eq 'png') set terminal png size 900,1040
set output 'soak.'.kind
set datafile separator ','
set datafile missing ''
stats 'samples.csv' using 1 skip 1 nooutput
unit = STATS_max > 600 ? 60.0 : 1.0
last = STATS_max / unit
spell = unit == 60 ? sprintf('%.0f minutes', last) : sprintf('%.0f seconds', last)
stats 'samples.csv' using 8 skip 1 name 'SLOW' nooutput
faults = int(system("sed 1d faults.csv | wc -l"))
set xrange [0:last]
set grid ytics lc rgb '#dddddd'
set border 3
set tics nomirror
set key above right horizontal samplen 2
set lmargin 11
set rmargin 4
set multiplot layout 5,1 title sprintf("%d faults in %s. Good: memory, descriptors and goroutines stay level,\nand the queue is empty again after each time offline (shaded).", faults, spell) font ',14'
set yrange [0:*]
set format x ''
# What is shaded is offline, in every panel.
set y2range [0:1]
unset y2tics
offline = "'samples.csv' using ($1/unit):(1-$9) skip 1 axes x1y2 with filledcurves y2=0 fs solid noborder fc rgb '#f7dedb' notitle"

set ylabel 'memory, MiB'
plot @offline, \
     'samples.csv' using ($1/unit):2 skip 1 with lines lw 1.5 lc rgb '#5b7c99' title 'resident', \
     '' using ($1/unit):3 skip 1 with lines lw 1.5 lc rgb '#22384c' title 'anonymous'

set ylabel 'count'
plot @offline, \
     'samples.csv' using ($1/unit):4 skip 1 with lines lw 1.5 lc rgb '#5b7c99' title 'descriptors', \
     '' using ($1/unit):5 skip 1 with lines lw 1.5 lc rgb '#22384c' title 'goroutines'

# The slowest is drawn last, so that nothing covers it, and the worst has its number.
set ylabel 'publish to acknowledged'
set yrange [0.05:*]
set logscale y
set ytics ('0.1 s' 0.1, '1 s' 1, '10 s' 10, '1 min' 60, '5 min' 300, '1 h' 3600)
worst = SLOW_max > 0 ? SLOW_max : 1
stats 'samples.csv' using ($8 == worst ? $1/unit : 1/0) skip 1 name 'WHEN' nooutput
set label 1 (worst < 90 ? sprintf('slowest: %.1f s', worst) : sprintf('slowest: %.1f min', worst/60)) at WHEN_min, worst offset 0,-1 center front
plot @offline, \
     'samples.csv' using ($1/unit):7 skip 1 with points pt 7 ps 0.3 lc rgb '#5b7c99' title 'median', \
     '' using ($1/unit):8 skip 1 with points pt 7 ps 0.3 lc rgb '#c4162a' title 'slowest'
unset label 1
unset logscale y

set yrange [0:*]
set ytics auto
set ylabel 'messages'
plot @offline, \
     'samples.csv' using ($1/unit):6 skip 1 with lines lw 1.5 lc rgb '#5b7c99' title 'queued'

set format x '%g'
set xlabel (unit == 60 ? 'minutes' : 'seconds')
set ylabel ''
set yrange [0:3]
set ytics ('faults' 0.5, 'offline' 1.5, 'online' 2.5)
unset grid
unset key
plot @offline, \
     'samples.csv' using ($1/unit):($9+1.5) skip 1 with steps lw 1.5 lc rgb '#22384c', \
     'faults.csv' using ($1/unit):(0.8) skip 1 with impulses lw 1 lc rgb '#7f7f7f'
unset multiplot
