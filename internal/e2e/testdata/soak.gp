# Draws samples.csv and faults.csv of a soak; kind is svg or png.
if (kind eq 'svg') set terminal svg size 900,1000 font 'sans-serif,12' background '#ffffff'
if (kind eq 'png') set terminal png size 900,1000
set output 'soak.'.kind
set datafile separator ','
set datafile missing ''
stats 'samples.csv' using 1 skip 1 nooutput
unit = STATS_max > 600 ? 60.0 : 1.0
last = STATS_max / unit
set xrange [0:last]
set grid ytics lc rgb '#dddddd'
set border 3
set tics nomirror
set key above right horizontal samplen 2
set lmargin 10
set rmargin 4
set multiplot layout 5,1
set yrange [0:*]
set format x ''

set ylabel 'MiB'
plot 'samples.csv' using ($1/unit):2 skip 1 with lines lw 1.5 lc rgb '#1f77b4' title 'resident', \
     '' using ($1/unit):3 skip 1 with lines lw 1.5 lc rgb '#d62728' title 'anonymous'

set ylabel 'count'
plot 'samples.csv' using ($1/unit):4 skip 1 with lines lw 1.5 lc rgb '#1f77b4' title 'descriptors', \
     '' using ($1/unit):5 skip 1 with lines lw 1.5 lc rgb '#d62728' title 'goroutines'

set ylabel 'seconds'
set yrange [0.05:*]
set logscale y
plot 'samples.csv' using ($1/unit):8 skip 1 with points pt 7 ps 0.3 lc rgb '#d62728' title 'slowest acknowledgement', \
     '' using ($1/unit):7 skip 1 with points pt 7 ps 0.3 lc rgb '#1f77b4' title 'median'
unset logscale y

set yrange [0:*]
set ylabel 'messages'
plot 'samples.csv' using ($1/unit):6 skip 1 with lines lw 1.5 lc rgb '#1f77b4' title 'queued'

set format x '%g'
set xlabel (unit == 60 ? 'minutes' : 'seconds')
set ylabel ''
set yrange [0:2]
set ytics ('fault' 0.5, 'online' 1.5)
unset grid
unset key
plot 'samples.csv' using ($1/unit):($9+0.5) skip 1 with steps lw 1.5 lc rgb '#2ca02c', \
     'faults.csv' using ($1/unit):(0.45) skip 1 with impulses lw 1 lc rgb '#7f7f7f'
unset multiplot
