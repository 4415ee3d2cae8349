package main

import (
	"fmt"
	"math"
	"strings"
)

// scale maps values to heights of a plot.
type scale struct {
	low, high float64
	log       bool
	binary    bool    // ticks are round in KiB and MiB
	top, base float64 // pixels
}

func (s scale) y(v float64) float64 {
	low, high := s.low, s.high
	if s.log {
		v, low, high = math.Log10(max(v, low)), math.Log10(low), math.Log10(high)
	}
	return s.base - (s.base-s.top)*(min(max(v, low), high)-low)/(high-low)
}

// ticks are some four round values.
func (s scale) ticks() (list []float64) {
	if s.log {
		for v := math.Pow(10, math.Ceil(math.Log10(s.low))); v <= s.high; v *= 10 {
			list = append(list, v)
		}
		return list
	}
	unit := 1.0
	for s.binary && (s.high-s.low)/unit > 1024 {
		unit *= 1024
	}
	step := unit * math.Pow(10, math.Floor(math.Log10((s.high-s.low)/unit/4)))
	for _, k := range []float64{1, 2, 5, 10} {
		if (s.high-s.low)/(k*step) <= 5 {
			step *= k
			break
		}
	}
	for v := math.Ceil(s.low/step) * step; v <= s.high+step/1e6; v += step {
		list = append(list, v)
	}
	return list
}

// shown is a value with its unit as Grafana would show it.
func shown(v float64, unit string) string {
	switch unit {
	case "s":
		return seconds(v)
	case "bytes", "Bps":
		per := map[string]string{"Bps": "/s"}[unit]
		for _, u := range []string{"B", "KiB", "MiB", "GiB"} {
			if math.Abs(v) < 1024 || u == "GiB" {
				return number(v) + " " + u + per
			}
			v /= 1024
		}
	case "dBm":
		return number(v) + " dBm"
	}
	return number(v)
}

func seconds(v float64) string {
	switch {
	case v < 1 && v != 0:
		return number(v*1000) + " ms"
	case v < 120:
		return number(v) + " s"
	case v < 7200:
		return number(v/60) + " min"
	}
	return number(v/3600) + " h"
}

// number has three digits that count.
func number(v float64) string {
	if math.Abs(v) >= 100 || v == math.Trunc(v) {
		return fmt.Sprintf("%.0f", v)
	}
	text := fmt.Sprintf("%.2g", v)
	if strings.Contains(text, "e") {
		return fmt.Sprintf("%.1f", v)
	}
	return text
}
