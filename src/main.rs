//! The binary. Everything is in the library.

/// Freed memory is overwritten: libraries copy passwords.
#[global_allocator]
static ALLOCATOR: keypulse::secret::Wiping = keypulse::secret::Wiping;

fn main() -> std::process::ExitCode {
    keypulse::cli::main()
}
