// SPDX-License-Identifier: Apache-2.0
//! The safetensors crate's side of scripts/bench; tests/bench/weightfs.c explains the conversation.

use std::error::Error;
use std::fs::File;
use std::hint::black_box;
use std::io::{self, BufRead, Write};
use std::time::Instant;

use memmap2::Mmap;
use safetensors::SafeTensors;

fn open(path: &str) -> Result<(), Box<dyn Error>> {
    let file = File::open(path)?;
    // SAFETY: the benchmark's own file, which nobody changes meanwhile
    let map = unsafe { Mmap::map(&file)? };
    let tensors = SafeTensors::deserialize(&map)?;
    black_box(tensors.len());
    Ok(())
}

fn obey(line: &str) -> Result<u128, Box<dyn Error>> {
    let mut words = line.splitn(3, ' ');
    let (verb, count, path) = (words.next(), words.next(), words.next());
    if verb != Some("open") {
        return Err("unknown verb".into());
    }
    let count: u32 = count.ok_or("no count")?.parse()?;
    let path = path.ok_or("no path")?;
    let start = Instant::now();
    for _ in 0..count {
        open(path)?;
    }
    Ok(start.elapsed().as_nanos())
}

fn main() -> io::Result<()> {
    for line in io::stdin().lock().lines() {
        match obey(&line?) {
            Ok(time) => println!("ok {time}"),
            Err(error) => println!("error {error}"),
        }
        io::stdout().flush()?;
    }
    Ok(())
}
