// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"fmt"
	"os"
)

type shop struct{ shelf, till *int }

//go:noinline
func (s *shop) take() int { return *s.till }

//go:noinline
func visit(s *shop) int { return s.take() + 1 }

//go:noinline
func note(prices map[string]int) int { prices["bread"] = 3; return 0 }

//go:noinline
func pick(prices []int, i int) int { return prices[i] }

//go:noinline
func give_up() int { panic("closed") }

func main() {
	switch os.Args[1] {
	case "nil":
		fmt.Println(visit(nil))
	case "map":
		fmt.Println(note(nil))
	case "index":
		fmt.Println(pick([]int{1, 2}, len(os.Args)+5))
	case "panic":
		fmt.Println(give_up())
	}
}
