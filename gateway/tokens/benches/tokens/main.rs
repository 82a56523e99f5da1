//! What counting costs, by class of input: this crate, `bpe-openai`, and the reference where it survives.
//!
//! Prints a table: 2 MB of each class (the reference on 256 KB), milliseconds and MB/s of processor time, the mean
//! of five runs, which does not grow when others keep the machine busy; the column `inline` is the best of five by the clock.
//! `cargo bench -p tollgate-tokens`; a word behind `--` picks the classes whose name has it.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a bench prints, and may end early")]

mod classes;

use std::panic::catch_unwind;
use std::time::Instant;

use tollgate_tokens::{Budget, Count, Encoding, count_text, count_text_within};

fn main() {
    let wanted = std::env::args().nth(1).filter(|word| !word.starts_with("--"));
    print_tables();
    std::panic::set_hook(Box::new(|_| {}));
    println!(
        "\no200k_base, 2 MB    | here ms   MB/s exact | inline us | bpe-openai ms | reference ms per 2 MB | tokens"
    );
    let mut worst = (0.0, String::new());
    for (name, text) in classes::all() {
        if wanted.as_ref().is_some_and(|word| !name.contains(word.as_str())) {
            continue;
        }
        let ms = print_class(&name, &text);
        if ms > worst.0 {
            worst = (ms, name);
        }
    }
    println!("worst: {:.1} ms, {}", worst.0, worst.1);
}

fn print_tables() {
    for encoding in Encoding::ALL {
        let started = Instant::now();
        encoding.load().unwrap();
        println!("{encoding:?}: loaded in {:.0} ms, {} KB", millis(started), encoding.memory_bytes() >> 10);
    }
    let started = Instant::now();
    let before = resident_kb();
    bpe_openai::o200k_base();
    println!("bpe-openai o200k: loaded in {:.0} ms, {} KB", millis(started), resident_kb() - before);
    let (started, before) = (Instant::now(), resident_kb());
    tiktoken_rs::o200k_base_singleton();
    println!("tiktoken-rs o200k: loaded in {:.0} ms, {} KB", millis(started), resident_kb() - before);
}

fn print_class(name: &str, text: &str) -> f64 {
    let (count, here) = mean(|| count_text_within("gpt-4o", text, Budget::worker()));
    let (_, inline) = best(|| count_text("gpt-4o", text));
    let (other, peer) = mean(|| bpe_openai::o200k_base().count(text) as u64);
    let small = &text[..text.floor_char_boundary(256 << 10)];
    let (reference, slow) = mean(|| {
        catch_unwind(|| tiktoken_rs::o200k_base_singleton().encode_ordinary(small).len() as u64).ok()
    });
    let same = reference
        .is_none_or(|tokens| count_text_within("gpt-4o", small, Budget::worker()) == Count::exactly(tokens));
    let verdict = if !same || (count.exact && count.tokens != other) { "DIFFERS" } else { "" };
    let off = (count.tokens as f64 / other as f64 - 1.0) * 100.0;
    let exact = if count.exact { "yes".to_owned() } else { format!("{off:+.1}%") };
    let reference = reference
        .map_or("panics".to_owned(), |_| format!("{:.1}", slow * text.len() as f64 / small.len() as f64));
    println!(
        "{name:19} | {here:7.1} {:6.0} {exact:>5} | {:9.0} | {peer:13.1} | {reference:>21} | {:>7} {verdict}",
        text.len() as f64 / 1e3 / here,
        inline * 1e3,
        count.tokens,
    );
    here
}

/// The mean of five runs, milliseconds of this thread on a processor (to 0.8 ms: the kernel counts in ticks).
fn mean<T>(mut run: impl FnMut() -> T) -> (T, f64) {
    let before = processor_nanos();
    let result = run();
    for _ in 0..4 {
        run();
    }
    (result, (processor_nanos() - before) as f64 / 5e6)
}

fn processor_nanos() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    stat.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or(0)
}

fn best<T>(mut run: impl FnMut() -> T) -> (T, f64) {
    let mut best = once(&mut run);
    for _ in 0..4 {
        let again = once(&mut run);
        if again.1 < best.1 {
            best = again;
        }
    }
    best
}

fn once<T>(run: impl FnOnce() -> T) -> (T, f64) {
    let started = Instant::now();
    let result = run();
    (result, millis(started))
}

fn millis(started: Instant) -> f64 {
    started.elapsed().as_secs_f64() * 1e3
}

fn resident_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").trim().parse().ok()).unwrap_or(0)
}
