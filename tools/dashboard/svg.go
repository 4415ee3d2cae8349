package main

import (
	"bytes"
	"fmt"
	"html"
	"strings"
)

// canvas collects an SVG. Coordinates are rounded to a tenth of a pixel.
type canvas struct{ bytes.Buffer }

func (c *canvas) rect(x, y, w, h float64, fill, more string) {
	fmt.Fprintf(c, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"%s/>`+"\n", x, y, w, h, fill, more)
}

func (c *canvas) line(x1, y1, x2, y2 float64, stroke string) {
	fmt.Fprintf(c, `<path d="M%.1f %.1fL%.1f %.1f" stroke="%s" stroke-width="1" fill="none"/>`+"\n", x1, y1, x2, y2, stroke)
}

// dashed is a line that is no measurement.
func (c *canvas) dashed(x1, y1, x2, y2 float64, stroke string) {
	fmt.Fprintf(c, `<path d="M%.1f %.1fL%.1f %.1f" stroke="%s" stroke-width="1.2" stroke-dasharray="5 4" fill="none"/>`+"\n", x1, y1, x2, y2, stroke)
}

// side is text that is read from the left, around its middle.
func (c *canvas) side(x, y, size float64, fill, s string) {
	fmt.Fprintf(c, `<text x="%.1f" y="%.1f" font-size="%g" text-anchor="middle" fill="%s" transform="rotate(-90 %.1f %.1f)">%s</text>`+"\n", x, y, size, fill, x, y, html.EscapeString(s))
}

// text is anchored at start, middle or end.
func (c *canvas) text(x, y, size float64, anchor, fill, s string) {
	fmt.Fprintf(c, `<text x="%.1f" y="%.1f" font-size="%g" text-anchor="%s" fill="%s">%s</text>`+"\n", x, y, size, anchor, fill, html.EscapeString(s))
}

// path draws lines through points; a gap begins a new one. With fill it closes
// down to the base.
func (c *canvas) path(xy [][2]float64, stroke string) {
	var d strings.Builder
	for i, p := range xy {
		verb := "L"
		if i == 0 {
			verb = "M"
		}
		fmt.Fprintf(&d, "%s%.1f %.1f", verb, p[0], p[1])
	}
	fmt.Fprintf(c, `<path d="%s" stroke="%s" stroke-width="1.4" fill="none" stroke-linejoin="round"/>`+"\n", d.String(), stroke)
}

// area fills between two lines that have the same length.
func (c *canvas) area(upper, lower [][2]float64, fill string) {
	var d strings.Builder
	for i, p := range upper {
		verb := "L"
		if i == 0 {
			verb = "M"
		}
		fmt.Fprintf(&d, "%s%.1f %.1f", verb, p[0], p[1])
	}
	for i := len(lower) - 1; i >= 0; i-- {
		fmt.Fprintf(&d, "L%.1f %.1f", lower[i][0], lower[i][1])
	}
	fmt.Fprintf(c, `<path d="%sZ" fill="%s" fill-opacity="0.75"/>`+"\n", d.String(), fill)
}
