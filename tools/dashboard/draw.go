package main

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// dashboard is what of Grafana's model is drawn.
type dashboard struct {
	Title  string
	Panels []panel
}

type panel struct {
	Type, Title string
	Collapsed   bool // a row whose panels are folded away
	GridPos     struct{ X, Y, W, H float64 }
	Targets     []struct{ Expr, LegendFormat string }
	FieldConfig struct {
		Defaults struct {
			Unit     string
			Min, Max *float64
			Color    struct{ Mode, FixedColor string }
			Mappings []struct {
				Options map[string]struct{ Text, Color string }
			}
			Thresholds struct {
				Steps []struct {
					Color string
					Value *float64
				}
			}
			Custom struct {
				AxisLabel         string
				DrawStyle         string
				Stacking          struct{ Mode string }
				ScaleDistribution struct{ Type string }
				ThresholdsStyle   struct{ Mode string }
			}
		}
		Overrides []struct {
			Matcher    struct{ ID, Options string }
			Properties []struct {
				ID    string
				Value struct{ FixedColor string }
			}
		}
	}
}

// color is that of the nth series: of an override that names it, or a shade of the
// panel's own.
func (p panel) color(n int, name string) string {
	for _, o := range p.FieldConfig.Overrides {
		if o.Matcher.ID != "byRegexp" || !regexp.MustCompile(strings.Trim(o.Matcher.Options, "/")).MatchString(name) {
			continue
		}
		for _, one := range o.Properties {
			if one.ID == "color" {
				return one.Value.FixedColor
			}
		}
	}
	if p.FieldConfig.Defaults.Color.Mode == "shades" {
		return shade(p.FieldConfig.Defaults.Color.FixedColor, n)
	}
	return shade(calm, n)
}

// shade is a color, darker and lighter in turns, the further the more.
func shade(color string, n int) string {
	v, err := strconv.ParseUint(strings.TrimPrefix(color, "#"), 16, 32)
	if err != nil {
		return color
	}
	by := []float64{0, -.45, .4, -.25, .6, -.6, .2}[n%7]
	mix := func(c uint64) uint64 {
		if by < 0 {
			return uint64(float64(c&255) * (1 + by))
		}
		return uint64(float64(c&255) + (255-float64(c&255))*by)
	}
	return fmt.Sprintf("#%02x%02x%02x", mix(v>>16), mix(v>>8), mix(v))
}

// step is the color of a value by the panel's thresholds.
func (p panel) step(v float64) string {
	color := ink
	for _, s := range p.FieldConfig.Defaults.Thresholds.Steps {
		if s.Value == nil || v >= *s.Value {
			color = s.Color
		}
	}
	if color == "text" {
		return ink
	}
	return color
}

// mapped is how a value is shown that has a word of its own.
func (p panel) mapped(v float64) (text, color string, ok bool) {
	for _, m := range p.FieldConfig.Defaults.Mappings {
		if o, there := m.Options[strconv.FormatFloat(v, 'f', -1, 64)]; there {
			return o.Text, o.Color, true
		}
	}
	return "", "", false
}

// Sizes in pixels: Grafana's grid has 24 columns.
const (
	column, row = 44.0, 30.0
	margin      = 4.0
	header      = 34.0
)

const (
	ink, faint, grid, paper, card = "#222", "#777", "#e4e4e4", "#f2f3f5", "#fff"
	calm                          = "#5b7c99"
)

// parts are the dashboard's panels above its first row, and those of each row that is
// not folded, each beginning at the top.
func (d dashboard) parts() (list []dashboard) {
	part, top, folded := dashboard{Title: d.Title}, 0.0, false
	for _, p := range d.Panels {
		if p.Type == "row" {
			if !folded {
				list = append(list, part)
			}
			part, top, folded = dashboard{Title: d.Title + ": " + p.Title}, p.GridPos.Y+p.GridPos.H, p.Collapsed
			continue
		}
		p.GridPos.Y -= top
		part.Panels = append(part.Panels, p)
	}
	if !folded {
		list = append(list, part)
	}
	return list
}

// draw makes one picture of all panels.
func (d dashboard) draw(source prometheus) ([]byte, error) {
	var c canvas
	height := 0.0
	for _, p := range d.Panels {
		height = max(height, header+(p.GridPos.Y+p.GridPos.H)*row)
	}
	fmt.Fprintf(&c, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %g %g" font-family="DejaVu Sans, Arial, sans-serif">`+"\n", 24*column, height)
	c.rect(0, 0, 24*column, height, paper, "")
	c.text(10, 23, 17, "start", ink, d.Title)
	c.text(24*column-10, 23, 12, "end", faint, source.start.Format("2006-01-02 15:04")+" to "+source.end.Format("15:04"))
	for _, p := range d.Panels {
		if err := p.draw(&c, source); err != nil {
			return nil, fmt.Errorf("panel %q: %w", p.Title, err)
		}
	}
	c.WriteString("</svg>\n")
	return c.Bytes(), nil
}

// plot is a panel with its data and the place that is left for it.
type plot struct {
	*canvas
	panel
	source     prometheus
	list       []series
	x, y, w, h float64
}

func (p panel) draw(c *canvas, source prometheus) error {
	var list []series
	for _, t := range p.Targets {
		some, err := source.query(t.Expr, t.LegendFormat)
		if err != nil {
			return err
		}
		list = append(list, some...)
	}
	g := p.GridPos
	f := plot{c, p, source, list, g.X*column + margin, header + g.Y*row + margin, g.W*column - 2*margin, g.H*row - 2*margin}
	f.rect(f.x, f.y, f.w, f.h, card, ` stroke="#d5d8dc" rx="3"`)
	f.text(f.x+10, f.y+17, 12, "start", ink, p.Title)
	switch p.Type {
	case "stat":
		f.stat()
	case "timeseries":
		f.timeseries()
	case "state-timeline":
		f.states()
	case "heatmap":
		f.heatmap()
	default:
		return fmt.Errorf("this program does not draw %q", p.Type)
	}
	return nil
}

// stat is the last value in large, or the name of the series that is there.
func (f plot) stat() {
	text, color := "-", faint
	for _, s := range f.list {
		v := s.values[points]
		if math.IsNaN(v) {
			continue
		}
		text, color = shown(v, f.FieldConfig.Defaults.Unit), f.step(v)
		if s.labels["state"] != "" || s.labels["cause"] != "" {
			text = s.name
		}
	}
	f.text(f.x+f.w/2, f.y+f.h/2+18, 25, "middle", color, text)
}

// at is the horizontal place of a sample.
func at(i int, left, width float64) float64 { return left + width*float64(i)/points }

// times draws the axis of time.
func (f plot) times(left, width, base float64) {
	for i := range 5 {
		x := left + width*float64(i)/4
		anchor := []string{"start", "middle", "middle", "middle", "end"}[i]
		f.text(x, base+13, 9, anchor, faint, f.source.start.Add(f.source.end.Sub(f.source.start)*time.Duration(i)/4).Format("15:04:05"))
	}
}

// states is a row for each series, filled by what its value is mapped to.
func (f plot) states() {
	left, top, width := f.x+105, f.y+28, f.w-120
	h := (f.h - 50) / float64(max(len(f.list), 1))
	for n, s := range f.list {
		y := top + float64(n)*h
		f.text(left-8, y+h/2+4, 11, "end", ink, s.name)
		f.rect(left, y+2, width, h-4, "#f3f4f6", "")
		for i := 0; i <= points; {
			j := i + 1
			for j <= points && s.values[j] == s.values[i] {
				j++
			}
			if text, fill, ok := f.mapped(s.values[i]); ok && fill != "transparent" {
				w := max(at(min(j, points), left, width)-at(i, left, width), 1.5)
				f.rect(at(i, left, width), y+2, w, h-4, fill, "")
				if len(f.list) == 1 && w > 8*float64(len(text)) {
					f.text(at(i, left, width)+w/2, y+h/2+4, 10, "middle", ink, text)
				}
			}
			i = j
		}
	}
	f.times(left, width, f.y+f.h-22)
}

// timeseries is lines, stacked areas or stacked bars.
func (f plot) timeseries() {
	custom := f.FieldConfig.Defaults.Custom
	f.list = slices.DeleteFunc(f.list, func(s series) bool { return math.IsNaN(s.last()) })
	stacked := custom.Stacking.Mode == "normal"
	if stacked { // what is nothing all the time needs no place in the legend
		f.list = slices.DeleteFunc(f.list, func(s series) bool { return slices.Max(zeroed(s.values)) == 0 })
	}
	left, width, s := f.axes(stacked)
	base := slices.Repeat([]float64{0}, points+1)
	for n, line := range f.list {
		color := f.color(n, line.name)
		switch {
		case stacked && custom.DrawStyle == "bars":
			f.bars(line.values, base, left, width, s, color)
		case stacked:
			f.band(line.values, base, left, width, s, color)
		default:
			f.lines(line.values, left, width, s, color)
		}
	}
	f.legend()
}

func zeroed(values []float64) []float64 {
	list := slices.Clone(values)
	for i, v := range list {
		if math.IsNaN(v) {
			list[i] = 0
		}
	}
	return list
}

// axes finds the scale of the values and draws it.
func (f plot) axes(stacked bool) (left, width float64, s scale) {
	d := f.FieldConfig.Defaults
	s = scale{low: math.Inf(1), high: math.Inf(-1), binary: d.Unit == "bytes" || d.Unit == "Bps", log: d.Custom.ScaleDistribution.Type == "log", top: f.y + 28, base: f.y + f.h - 42}
	sums := slices.Repeat([]float64{0}, points+1)
	for _, line := range f.list {
		for i, v := range line.values {
			if math.IsNaN(v) || s.log && v <= 0 {
				continue
			}
			sums[i] += v
			if stacked {
				v = sums[i]
			}
			s.low, s.high = min(s.low, v), max(s.high, v)
		}
	}
	if d.Min != nil || stacked {
		s.low = 0
	}
	if d.Min != nil {
		s.low = *d.Min
	}
	if d.Max != nil {
		s.high = *d.Max
	}
	switch {
	case s.log && !(s.low < s.high):
		s.low, s.high = .1, 10
	case !(s.low < s.high):
		s.low, s.high = min(s.low, 0), max(s.low, 0)+1
		if math.IsInf(s.low, 0) || math.IsInf(s.high, 0) {
			s.low, s.high = 0, 1
		}
	}
	left, width = f.x+62, f.w-76
	for _, v := range s.ticks() {
		f.line(left, s.y(v), left+width, s.y(v), grid)
		f.text(left-6, s.y(v)+3, 9, "end", faint, shown(v, d.Unit))
	}
	if label := d.Custom.AxisLabel; label != "" {
		f.side(f.x+13, (s.top+s.base)/2, 9, faint, label)
	}
	if d.Custom.ThresholdsStyle.Mode != "" {
		for _, step := range d.Thresholds.Steps {
			if step.Value != nil && *step.Value > s.low && *step.Value < s.high {
				f.dashed(left, s.y(*step.Value), left+width, s.y(*step.Value), step.Color)
			}
		}
	}
	f.times(left, width, s.base)
	return left, width, s
}

// lines draws one series, with gaps where it has none.
func (f plot) lines(values []float64, left, width float64, s scale, color string) {
	var xy [][2]float64
	flush := func() {
		if len(xy) > 0 {
			f.path(xy, color)
		}
		xy = nil
	}
	for i, v := range values {
		if math.IsNaN(v) {
			flush()
			continue
		}
		xy = append(xy, [2]float64{at(i, left, width), s.y(v)})
	}
	flush()
}

// band is a stacked area; base is what lies below, and grows.
func (f plot) band(values, base []float64, left, width float64, s scale, color string) {
	var upper, lower [][2]float64
	for i, v := range zeroed(values) {
		lower = append(lower, [2]float64{at(i, left, width), s.y(base[i])})
		base[i] += v
		upper = append(upper, [2]float64{at(i, left, width), s.y(base[i])})
	}
	f.area(upper, lower, color)
}

func (f plot) bars(values, base []float64, left, width float64, s scale, color string) {
	for i, v := range zeroed(values) {
		if v > 0 {
			x := at(i, left, width)
			f.rect(x, s.y(base[i]+v), max(width/points, 1), s.y(base[i])-s.y(base[i]+v), color, "")
			base[i] += v
		}
	}
}

// legend names the lines below the plot.
func (f plot) legend() {
	x, y := f.x+14, f.y+f.h-10
	for n, s := range f.list {
		w := 22 + 5.6*float64(len(s.name))
		if x+w > f.x+f.w-8 {
			f.text(x, y, 10, "start", faint, "...")
			return
		}
		f.rect(x, y-7, 9, 7, f.color(n, s.name), "")
		f.text(x+13, y, 10, "start", ink, s.name)
		x += w
	}
	if len(f.list) == 0 {
		f.text(f.x+f.w/2, f.y+f.h/2, 11, "middle", faint, "nothing happened")
	}
}

// heatmap has a row for each bucket and darker cells for more messages.
func (f plot) heatmap() {
	bound := func(s series) float64 {
		v, err := strconv.ParseFloat(s.labels["le"], 64)
		if err != nil {
			return math.Inf(1)
		}
		return v
	}
	slices.SortFunc(f.list, func(a, b series) int {
		if bound(a) < bound(b) {
			return -1
		}
		return 1
	})
	left, top, width := f.x+62, f.y+28, f.w-76
	h := (f.h - 62) / float64(max(len(f.list), 1))
	most, cells := 0.0, make([][]float64, len(f.list))
	for n, s := range f.list {
		cells[n] = zeroed(s.values)
		for i := range cells[n] {
			if n > 0 && !math.IsNaN(f.list[n-1].values[i]) {
				cells[n][i] -= f.list[n-1].values[i]
			}
			most = max(most, cells[n][i])
		}
	}
	for n, s := range f.list {
		y := top + float64(len(f.list)-1-n)*h
		label := "over"
		if b := bound(s); !math.IsInf(b, 1) {
			label = seconds(b)
		}
		f.text(left-6, y+h/2+3, 9, "end", faint, label)
		f.line(left, y+h, left+width, y+h, grid)
		for i, v := range cells[n] {
			if v > 0.01 {
				f.rect(at(i, left, width), y+.5, width/points+.2, h-1, calm, fmt.Sprintf(` fill-opacity="%.2f"`, .2+.8*math.Sqrt(v/most)))
			}
		}
	}
	f.side(f.x+13, top+(f.h-62)/2, 9, faint, "time to the acknowledgement")
	f.times(left, width, top+float64(len(f.list))*h+4)
}
