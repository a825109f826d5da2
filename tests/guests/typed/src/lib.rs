//! Functions of many types.

use std::cell::Cell;

wit_bindgen::generate!({ path: "wit", world: "typed" });

use exports::test::typed::{counters, shapes};

struct Typed;

impl Guest for Typed {
    fn add(a: u64, b: u64) -> u64 {
        a.wrapping_add(b)
    }

    fn greet_all(names: Vec<String>, greeting: Option<String>) -> Vec<String> {
        let greeting = greeting.unwrap_or_else(|| "Hello".to_owned());
        names.iter().map(|name| format!("{greeting}, {name}!")).collect()
    }

    fn nothing() {}

    fn fail(why: String) -> Result<u32, String> {
        Err(why)
    }

    fn refuse() -> Result<(), Vec<u8>> {
        Err(vec![1, 2, 3])
    }

    fn spin() {
        loop {
            std::hint::black_box(0);
        }
    }

    fn repeat_text(text: String, times: u32) -> String {
        text.repeat(times as usize)
    }
}

impl shapes::Guest for Typed {
    fn mirror(drawing: shapes::Drawing) -> shapes::Drawing {
        drawing
    }

    fn area(shape: shapes::Shape) -> Result<f64, String> {
        match shape {
            shapes::Shape::Dot => Ok(0.0),
            shapes::Shape::Circle(radius) => Ok(std::f64::consts::PI * radius * radius),
            shapes::Shape::Polygon(points) if points.len() < 3 => Err(format!("{} points enclose nothing", points.len())),
            shapes::Shape::Polygon(points) => Ok(shoelace(&points)),
        }
    }
}

fn shoelace(points: &[shapes::Point]) -> f64 {
    let next = points.iter().cycle().skip(1);
    let sum: f64 = points.iter().zip(next).map(|(a, b)| f64::from(a.x) * f64::from(b.y) - f64::from(b.x) * f64::from(a.y)).sum();
    sum.abs() / 2.0
}

struct Counter(Cell<u32>);

impl counters::Guest for Typed {
    type Counter = Counter;

    fn count(counter: counters::CounterBorrow<'_>) -> u32 {
        counter.get::<Counter>().0.get()
    }
}

impl counters::GuestCounter for Counter {
    fn new() -> Self {
        Self(Cell::new(0))
    }

    fn next(&self) -> u32 {
        self.0.set(self.0.get() + 1);
        self.0.get()
    }
}

export!(Typed);
