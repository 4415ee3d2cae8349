package main

import (
	"context"

	"go.uber.org/zap"

	"airbridged/client/api"
	"airbridged/internal/bus"
	"airbridged/internal/config"
	"airbridged/internal/datause"
	"airbridged/internal/durable"
	"airbridged/internal/outbox"
)

// budget is the account of the data connection, and what is done when its budget
// is used up.
type budget struct {
	*datause.Account
	back outbox.Priority // from this level on messages are held back then
}

// heldBack says for each word of data.when_over from which level on.
var heldBack = map[string]outbox.Priority{"warn": outbox.HoldNothing, "hold-low": outbox.Low, "hold-normal": outbox.Normal}

// openBudget reads the month's account from the state directory.
func openBudget(cfg config.Config, state durable.Directory, queue *outbox.Queue, board *bus.StatusBoard, log *zap.Logger) budget {
	b := budget{back: heldBack[cfg.Data.WhenOver]}
	warn := func(code, detail string) {
		log.Warn(detail, zap.String("code", code))
		board.Emit(bus.Warned(code, detail))
	}
	b.Account = datause.Open(datause.Options{
		State: state, Budget: cfg.Data.MonthlyBudget, Day: cfg.Data.BudgetDay, Warn: warn,
		Hold: func(over bool) {
			switch {
			case b.back == outbox.HoldNothing:
			case over:
				queue.HoldBack(b.back)
				warn("data-held", "the month's data budget is used up: less important messages wait in the outbox (data.when_over)")
			default:
				queue.HoldBack(outbox.HoldNothing)
				warn("data-held", "there is data budget again: the messages that waited for it go out")
			}
		},
	})
	return b
}

// runBudget keeps the account until stop is called, which is to be done when
// nothing is sent any more.
func runBudget(b budget) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = b.Run(ctx) // never fails
	}()
	return func() {
		cancel()
		<-done
	}
}

// holding says whether messages wait for the next month.
func (b budget) holding(r datause.Report) bool { return r.Over && b.back != outbox.HoldNothing }

// status is the account in the form of GET /v1/status.
func (b budget) status() api.Data {
	r := b.Report()
	s := api.Data{Bytes: r.Bytes, ByCause: r.Causes, ByProgram: []api.ProgramData{}, Holding: b.holding(r)}
	if !r.Until.IsZero() {
		s.Since, s.Until = &r.Since, &r.Until
	}
	for _, p := range r.Programs {
		s.ByProgram = append(s.ByProgram, api.ProgramData{Program: p.Name, Bytes: p.Bytes})
	}
	if r.Budget > 0 {
		s.BudgetBytes = &r.Budget
	}
	if r.Forecast > 0 {
		s.ForecastBytes = &r.Forecast
	}
	return s
}
