// SPDX-License-Identifier: GPL-2.0-or-later

// Rust, built with panic=abort.

struct Shop {
    shelves: Vec<u32>,
}

impl Shop {
    #[inline(never)]
    fn take(&self, index: usize) -> u32 {
        self.shelves[index]
    }
}

#[inline(never)]
fn visit<T: Fn(usize) -> u32>(f: T, index: usize) -> u32 {
    f(index) + 1
}

fn main() {
    let how = std::env::args().nth(1).unwrap_or_default();
    let shop = Shop { shelves: vec![1, 2, 3] };
    if how == "panic" {
        println!("{}", visit(|i| shop.take(i), 7));
    } else if how == "unwrap" {
        println!("{}", visit(|i| shop.shelves.get(i).copied().unwrap(), 7));
    } else if how == "null" {
        unsafe { std::ptr::null_mut::<u32>().write_volatile(1) };
    }
}
