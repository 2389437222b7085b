//! Memory that keeps nothing: what is freed is overwritten, and what ended calls left on the stack can be.
//!
//! The libraries between us and a server or a keyring copy what they are given (buffers of TLS, of lettre, of the bus) and
//! free their copies as they are. The binary takes its memory from [`Wiping`], so no copy outlives its owner, whoever that
//! is. The one file with unsafe code; decides nothing.

#![allow(unsafe_code, reason = "an allocator is an unsafe trait; the rest of the program has no unsafe code")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    arch::asm,
    future::poll_fn,
    hint::black_box,
};

/// The system's allocator; everything is overwritten with zeros before it is given back.
///
/// Growing and shrinking move what is there to a fresh block (the trait's own `realloc`), so that the old one is wiped too.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wiping;

// SAFETY: every call goes to `System` with the arguments as they came, so its promises are ours. Before that, `dealloc`
// writes to the block that it was given and nowhere else.
unsafe impl GlobalAlloc for Wiping {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises are `System`'s conditions.
        unsafe { System.alloc(layout) }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above. The kernel's fresh pages are zeros already, so this is not `alloc` and a fill.
        unsafe { System.alloc_zeroed(layout) }
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller gives up a live block of `layout.size()` bytes, so all of it may be written. The empty assembly
        // is handed the address and may read what is there: without it the compiler drops a write just before `free`.
        unsafe {
            block.write_bytes(0, layout.size());
            asm!("/* {0} */", in(reg) block, options(nostack, preserves_flags));
            System.dealloc(block, layout);
        }
    }
}

/// How much of the stack is overwritten: more than the deepest of our calls uses, a login over TLS. Without optimization that is
/// 280 KiB; in a release build 136 KiB below the loop that waits, in a life with a verdict and its messages (what was touched of
/// the stack, in `/proc/PID/smaps`).
const STACK: usize = if cfg!(debug_assertions) { 512 } else { 256 } * 1024;

/// Overwrites what ended calls have left on the stack below the caller: a digest's block, a cipher's, a line being built. Call
/// it where the stack is short.
#[inline(never)]
#[expect(clippy::large_stack_arrays, reason = "that it lies on the stack is its purpose")]
pub fn wipe_stack() {
    let mut below = [0_u8; STACK];
    black_box(&mut below);
}

/// The same future, with the stack wiped after each of its steps: whatever runs next finds nothing there that it could take
/// along into a block that lives longer (the unused part of a value that is moved).
pub fn wiped<F: Future>(future: F) -> impl Future<Output = F::Output> {
    let mut future = Box::pin(future);
    poll_fn(move |context| {
        let step = future.as_mut().poll(context);
        wipe_stack();
        step
    })
}

#[cfg(test)]
mod tests {
    use std::{hint::black_box, time::Instant};

    use super::*;

    #[test]
    fn blocks_keep_what_is_in_them_while_they_grow_and_shrink() {
        let layout = Layout::from_size_align(24, 8).unwrap();
        // SAFETY: each block is used within its size, and given back once with the layout it has by then.
        unsafe {
            let zeroed = Wiping.alloc_zeroed(layout);
            assert_eq!(std::slice::from_raw_parts(zeroed, 24), [0; 24]);
            zeroed.write_bytes(7, 24);
            let grown = Wiping.realloc(zeroed, layout, 100_000);
            assert_eq!(std::slice::from_raw_parts(grown, 24), [7; 24]);
            let shrunk = Wiping.realloc(grown, Layout::from_size_align(100_000, 8).unwrap(), 8);
            assert_eq!(std::slice::from_raw_parts(shrunk, 8), [7; 8]);
            Wiping.dealloc(shrunk, Layout::from_size_align(8, 8).unwrap());
        }
    }

    /// What wiping costs, as a ratio to the system's allocator. This file needs nothing else:
    /// `rustc --edition 2024 -O --test src/secret/wipe.rs -o /tmp/wipe && /tmp/wipe --ignored --nocapture`
    #[test]
    #[ignore = "measures, on an optimized build"]
    fn the_price() {
        fn seconds(allocator: &impl GlobalAlloc, size: usize) -> f64 {
            let layout = Layout::from_size_align(size, 8).unwrap();
            let begun = Instant::now();
            for _ in 0..200_000 {
                // SAFETY: a block that is written within its size and given back at once.
                unsafe {
                    let block = black_box(allocator.alloc(layout));
                    block.write_bytes(1, size);
                    allocator.dealloc(black_box(block), layout);
                }
            }
            begun.elapsed().as_secs_f64()
        }
        for size in [32, 256, 1024, 4096, 16_384, 65_536] {
            let (plain, wiping) = (seconds(&System, size), seconds(&Wiping, size));
            println!("{size:>6} bytes taken, written and given back: {:.2} times the time", wiping / plain);
        }
        let begun = Instant::now();
        (0..10_000).for_each(|_| wipe_stack());
        println!("the stack: {:.1} µs", begun.elapsed().as_secs_f64() * 100.0);
    }
}
