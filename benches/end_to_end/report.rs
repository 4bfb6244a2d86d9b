//! What is printed.

use serde_json::{Value, json};

use crate::{
    figures::median,
    options::{Class, IN_FLIGHT, Options, PARTITIONS},
};

/// Where events per second must get to, as a share of the raw limit: at 0 ms, and at any other latency.
const GOALS: (f64, f64) = (0.5, 0.97);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    Raw,
    Counterfoil(Class),
}

/// What one run measured.
#[derive(Clone, Copy, Debug)]
pub struct Figures {
    pub events_per_second: f64,
    pub cpu_s_per_100k: f64,
    pub rss_mib: u64,
}

/// One program at one latency beside the raw limit; a ratio for each round.
struct Ratios {
    latency_ms: u64,
    class: Class,
    speed: Vec<f64>,
    cpu: Vec<f64>,
}

/// Collects runs, and prints them as they come.
pub struct Report {
    json: bool,
    events: Vec<(u64, usize)>,
    runs: Vec<Value>,
    /// The raw limit of this round.
    raw: Option<Figures>,
    ratios: Vec<Ratios>,
}

impl Report {
    pub fn new(options: &Options) -> Self {
        Self { json: options.json, events: Vec::new(), runs: Vec::new(), raw: None, ratios: Vec::new() }
    }

    pub fn begin(&mut self, latency_ms: u64, events: usize) {
        self.events.push((latency_ms, events));
        self.say(format!(
            "\nTarget of {latency_ms} ms, {events} events, {PARTITIONS} partitions, {IN_FLIGHT} in flight\n\
             {:<20} {:>10} {:>13} {:>8} {:>8} {:>8}",
            "", "events/s", "CPU s / 100k", "RSS MiB", "speed", "CPU"
        ));
    }

    pub fn add(&mut self, latency_ms: u64, program: Program, figures: Figures) {
        let Figures { events_per_second, cpu_s_per_100k, rss_mib } = figures;
        let line =
            format!("{:<20} {events_per_second:>10.0} {cpu_s_per_100k:>13.2} {rss_mib:>8}", program.label());
        let mut run = json!({
            "latency_ms": latency_ms, "program": program.label(), "events_per_second": events_per_second,
            "cpu_s_per_100k": cpu_s_per_100k, "rss_mib": rss_mib,
        });
        match (program, self.raw) {
            (Program::Counterfoil(class), Some(raw)) => {
                let speed = events_per_second / raw.events_per_second;
                let cpu = cpu_s_per_100k / raw.cpu_s_per_100k;
                self.say(format!("{line} {speed:>8.3} {cpu:>7.1}x"));
                run["speed_ratio"] = json!(speed);
                run["cpu_ratio"] = json!(cpu);
                let ratios = self.ratios_of(latency_ms, class);
                ratios.speed.push(speed);
                ratios.cpu.push(cpu);
            }
            _ => {
                self.raw = Some(figures);
                self.say(line);
            }
        }
        self.runs.push(run);
    }

    pub fn end_round(&mut self) {
        self.raw = None;
        self.say(String::new());
    }

    /// The medians, beside the goals.
    pub fn finish(self) -> anyhow::Result<()> {
        let cores = std::thread::available_parallelism()?.get();
        let kafka = testkit::kafka::VERSION;
        if self.json {
            let summary: Vec<Value> = self.ratios.iter().map(Ratios::to_json).collect();
            let events: Vec<Value> =
                self.events.iter().map(|(ms, events)| json!({"latency_ms": ms, "events": events})).collect();
            let all = json!({
                "machine": {"cores": cores, "kafka": kafka, "partitions": PARTITIONS, "in_flight": IN_FLIGHT},
                "events": events, "runs": self.runs, "summary": summary,
            });
            println!("{}", serde_json::to_string_pretty(&all)?);
            return Ok(());
        }
        println!(
            "Medians beside the raw limit (consumer and HTTP client, order for each key, no logic), \
             Kafka {kafka}, target and program on the same {cores} cores:"
        );
        for ratios in &self.ratios {
            let Ratios { latency_ms, class, speed, cpu } = ratios;
            let (speed, cpu) = (median(speed).unwrap_or(f64::NAN), median(cpu).unwrap_or(f64::NAN));
            println!(
                "  {latency_ms:>3} ms, {:<7} speed {speed:.3} (goal {}), CPU {cpu:.1}x",
                class.name(),
                ratios.goal()
            );
        }
        Ok(())
    }

    fn ratios_of(&mut self, latency_ms: u64, class: Class) -> &mut Ratios {
        let known = self.ratios.iter().position(|r| r.latency_ms == latency_ms && r.class == class);
        let place = known.unwrap_or_else(|| {
            self.ratios.push(Ratios { latency_ms, class, speed: Vec::new(), cpu: Vec::new() });
            self.ratios.len() - 1
        });
        &mut self.ratios[place]
    }

    /// Progress; beside a JSON document it goes to standard error.
    fn say(&self, line: String) {
        if self.json { eprintln!("{line}") } else { println!("{line}") }
    }
}

impl Ratios {
    fn goal(&self) -> f64 {
        if self.latency_ms == 0 { GOALS.0 } else { GOALS.1 }
    }

    fn to_json(&self) -> Value {
        json!({
            "latency_ms": self.latency_ms, "class": self.class.name(),
            "speed_ratio": median(&self.speed), "goal": self.goal(), "cpu_ratio": median(&self.cpu),
        })
    }
}

impl Program {
    fn label(self) -> String {
        match self {
            Self::Raw => "raw limit".to_owned(),
            Self::Counterfoil(class) => format!("counterfoil {}", class.name()),
        }
    }
}
