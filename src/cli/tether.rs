//! `tether`: another program that ends with whoever started it. Hidden, because only runs start it.

use super::Failure;
use crate::backend::tether;
use std::ffi::OsString;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Whose end is its end
    parent: u32,
    /// The program
    program: OsString,
    /// Its arguments
    #[arg(allow_hyphen_values = true, trailing_var_arg = true)]
    arguments: Vec<OsString>,
}

pub(super) fn run(args: &Args) -> Result<ExitCode, Failure> {
    Err(tether::become_program(args.parent, &args.program, &args.arguments).into())
}
