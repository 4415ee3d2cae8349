package host

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap/buffer"
	"go.uber.org/zap/zapcore"
)

// console writes a line for people: time, level, message, and the fields behind it as
// words, in the order in which they were given. JSON is for programs.
type console struct{ *zapcore.MapObjectEncoder }

func newConsole() console { return console{zapcore.NewMapObjectEncoder()} }

// Clone is for zap.
func (c console) Clone() zapcore.Encoder {
	another := newConsole()
	maps.Copy(another.Fields, c.Fields)
	return another
}

// EncodeEntry is for zap.
func (c console) EncodeEntry(entry zapcore.Entry, fields []zapcore.Field) (*buffer.Buffer, error) {
	var words []string
	for _, key := range slices.Sorted(maps.Keys(c.Fields)) {
		words = append(words, word(key, c.Fields[key]))
	}
	for _, f := range fields {
		one := zapcore.NewMapObjectEncoder()
		f.AddTo(one)
		for _, key := range slices.Sorted(maps.Keys(one.Fields)) {
			words = append(words, word(key, one.Fields[key]))
		}
	}
	line := lines.Get()
	line.AppendString(entry.Time.Format("15:04:05.000") + " " + fmt.Sprintf("%-5s", entry.Level.CapitalString()) + " ")
	if entry.LoggerName != "" {
		line.AppendString(entry.LoggerName + ": ")
	}
	line.AppendString(entry.Message)
	if len(words) > 0 {
		line.AppendString(" | " + strings.Join(words, ", "))
	}
	line.AppendByte('\n')
	return line, nil
}

// word is a field as one reads it: "from online", "error \"no such file\"" where blanks
// would leave it open where it ends.
func word(key string, value any) string {
	switch v := value.(type) {
	case string:
		if v == "" || strings.ContainsAny(v, ",|\"") {
			return key + " " + strconv.Quote(v)
		}
		return key + " " + v
	case time.Duration:
		return key + " " + v.Round(time.Millisecond).String()
	}
	return fmt.Sprintf("%s %v", key, value)
}
