// SPDX-License-Identifier: GPL-2.0-or-later

package main

import "fmt"

type shop struct{ shelf *int }

//go:noinline
func (s *shop) take() int { return *s.shelf }

//go:noinline
func visit(s *shop) int { return s.take() + 1 }

func main() { fmt.Println(visit(&shop{})) }
