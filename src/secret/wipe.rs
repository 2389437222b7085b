//! Memory that keeps nothing: what is freed is overwritten, and what ended calls left on the stack can be.
//!
//! The libraries between us and a server or a keyring copy what they are given (buffers of TLS, of lettre, of the bus) and
//! free their copies as they are. The binary takes its memory from [`Wiping`], so no copy outlives its owner, whoever that
//! is. The one file with unsafe code; decides nothing.

#![allow(unsafe_code, reason = "an allocator is an unsafe trait; the rest of the program has no unsafe code")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    arch::asm,
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

/// How much of the stack is overwritten: several times what the deepest of our calls uses.
const STACK: usize = 96 * 1024;

/// Overwrites what ended calls have left on the stack below the caller: a digest's block, a cipher's, a line being built. Call
/// it where the stack is short.
#[inline(never)]
#[expect(clippy::large_stack_arrays, reason = "that it lies on the stack is its purpose")]
pub fn wipe_stack() {
    let mut below = [0_u8; STACK];
    black_box(&mut below);
}
