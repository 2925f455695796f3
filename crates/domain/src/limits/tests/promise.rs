//! Both halves of the promise against a log that forgets nothing: every admission with its time.

use proptest::prelude::*;

use super::*;

/// The oracle of one window. Times are the cell's: they never go back.
struct Exact {
    name: LimitName,
    length: i64,
    limit: u64,
    /// How far back an admission may matter, which is more than the length after 64 units.
    reach: i64,
    admitted: Vec<(i64, u64)>,
}

impl Exact {
    fn new(name: LimitName, limit: u64) -> Self {
        let length = i64::from(name.window_secs().unwrap()) * SECOND;
        let mut exact = Self { name, length, limit, reach: length, admitted: Vec::new() };
        exact.set_limit(limit);
        exact
    }

    /// A log of buckets stays one for a while when the limit becomes small.
    fn set_limit(&mut self, limit: u64) {
        self.limit = limit;
        if limit > EXACT_MAX {
            self.reach = self.length / BUCKETS * (BUCKETS + 1);
        }
    }

    /// Units admitted in (at − span, at].
    fn within(&self, at: i64, span: i64) -> u64 {
        let recent = self.admitted.iter().rev().take_while(|(time, _)| *time > at - span);
        recent.map(|(_, units)| units).sum()
    }

    /// Whether admitting would pass the limit, by the most generous reading of the promise.
    fn may_refuse(&self, at: i64, units: u64) -> bool {
        self.within(at, self.reach) + units > self.limit
    }

    fn must_refuse(&self, at: i64, units: u64) -> bool {
        self.within(at, self.length) + units > self.limit
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Call {
        gap: i64,
        units: u64,
    },
    /// The clock jumps; never further back than what an idle cell is kept for.
    Jump(i64),
    Resize(usize, u64),
    Shed,
}

const BACK_MAX: i64 = 599 * SECOND;
const NAMES: [LimitName; 3] = [LimitName::ProductSecond, LimitName::Minute, LimitName::KeyHour];

fn policy(name: LimitName, limit: u64) -> CellPolicy {
    let limit = Some(limit);
    let none = WindowLimits::default();
    match name {
        LimitName::ProductSecond => CellPolicy::of_product(WindowLimits { second: limit, ..none }),
        LimitName::Minute => {
            CellPolicy::of_subscription(WindowLimits { minute: limit, ..none }, None)
        }
        _ => CellPolicy::of_key(WindowLimits { hour: limit, ..none }, None),
    }
}

/// Three cells with a window each, their oracles, and the clock of each as it must be.
struct World {
    cells: [Option<Cell>; 3],
    exact: [Exact; 3],
    now: i64,
    latest: i64,
    highest: i64,
}

impl World {
    fn new(limits: [u64; 3]) -> Self {
        let cells = [0, 1, 2].map(|at| Some(Cell::new(policy(NAMES[at], limits[at]))));
        let exact = [0, 1, 2].map(|at| Exact::new(NAMES[at], limits[at]));
        Self { cells, exact, now: 1_000 * SECOND, latest: 0, highest: 0 }
    }

    fn take(&mut self, step: Step) -> Result<(), TestCaseError> {
        self.highest = self.highest.max(self.now);
        match step {
            Step::Call { gap, units } => {
                self.now += gap;
                return self.call(units);
            }
            Step::Jump(by) => self.now = (self.now + by).max(self.highest - BACK_MAX),
            Step::Resize(at, limit) => {
                self.exact[at].set_limit(limit);
                if let Some(cell) = &mut self.cells[at] {
                    cell.set_policy(&policy(NAMES[at], limit));
                }
            }
            Step::Shed => {
                for cell in &mut self.cells {
                    if cell.as_mut().is_some_and(|cell| cell.shed(Timestamp(self.now))) {
                        *cell = None;
                    }
                }
            }
        }
        Ok(())
    }

    fn call(&mut self, units: u64) -> Result<(), TestCaseError> {
        for (cell, exact) in self.cells.iter_mut().zip(&self.exact) {
            let policy = policy(exact.name, exact.limit);
            cell.get_or_insert_with(|| Cell::new(policy)).set_policy(&policy);
        }
        self.latest = self.latest.max(self.now);
        let before = self.cells.clone();
        let (latest, asked) = (self.latest, ask(self.now, units));
        match ask_of(&mut Self::all(&mut self.cells), &asked) {
            Ok(standings) => {
                for exact in &mut self.exact {
                    prop_assert!(!exact.must_refuse(latest, units), "{:?} passed", exact.name);
                    exact.admitted.push((latest, units));
                }
                let shown = self.exact.iter().filter(|exact| !exact.name.is_of_product());
                for (standing, exact) in standings.iter().zip(shown) {
                    let most = exact.limit - exact.within(latest, exact.length);
                    prop_assert!(standing.remaining <= most);
                    prop_assert!(standing.limit == exact.limit && standing.name == exact.name);
                    prop_assert!(standing.reset.0 >= latest);
                }
            }
            Err(limited) => {
                let one = self.exact.iter().find(|exact| exact.name == limited.name).unwrap();
                prop_assert!(one.may_refuse(latest, units), "{:?} refused needlessly", one.name);
                self.unchanged(before)?;
                self.comes_back(units, limited)?;
            }
        }
        Ok(())
    }

    fn all(cells: &mut [Option<Cell>; 3]) -> Cells<'_> {
        let [product, subscription, key] = cells;
        let subscription = subscription.as_mut().unwrap();
        Cells { product: product.as_mut(), subscription, key: key.as_mut() }
    }

    /// A refusal leaves what remains of every limit as it was.
    fn unchanged(&self, mut before: [Option<Cell>; 3]) -> Result<(), TestCaseError> {
        let mut after = self.cells.clone();
        let (now, period) = (Timestamp(self.latest), ask(self.now, 0).period);
        let before = standings(&mut Self::all(&mut before), period, now);
        let after = standings(&mut Self::all(&mut after), period, now);
        prop_assert!(before.iter().eq(after.iter()));
        Ok(())
    }

    /// The call is admitted at the time the refusal names, and no limit holds it up longer.
    fn comes_back(&self, units: u64, limited: Limited) -> Result<(), TestCaseError> {
        prop_assert!(limited.retry_at.0 > self.latest);
        if self.exact.iter().all(|exact| units <= exact.limit) {
            let mut later = self.cells.clone();
            let again = ask_of(&mut Self::all(&mut later), &ask(limited.retry_at.0, units));
            prop_assert!(again.is_ok());
        }
        Ok(())
    }
}

fn limit() -> impl Strategy<Value = u64> {
    prop_oneof![2 => 1..=64u64, 1 => 63..=66u64, 2 => 65..2_000u64, 1 => 60_000..70_000u64]
}

fn calls() -> impl Strategy<Value = Step> {
    let gap = prop_oneof![
        3 => 0..20_000i64,
        3 => 0..1_000_000i64,
        3 => (0..130i64).prop_map(|n| n * 15_625),
        3 => (0..130i64).prop_map(|n| n * 937_500),
        1 => 55_000_000..65_000_000i64,
        1 => 3_500_000_000..3_700_000_000i64,
        1 => 0..10_000_000_000i64,
    ];
    let units = prop_oneof![4 => 0..4u64, 3 => 0..40u64, 1 => 0..3_000u64, 1 => 0..70_000u64];
    (gap, units).prop_map(|(gap, units)| Step::Call { gap, units })
}

fn unsteady() -> impl Strategy<Value = Step> {
    prop_oneof![
        30 => calls(),
        2 => (-BACK_MAX..600 * SECOND).prop_map(Step::Jump),
        1 => (-SECOND..SECOND).prop_map(Step::Jump),
        2 => (0..3usize, limit()).prop_map(|(at, limit)| Step::Resize(at, limit)),
        1 => Just(Step::Shed),
    ]
}

fn limits() -> impl Strategy<Value = [u64; 3]> {
    [limit(), limit(), limit()]
}

proptest! {
    #[test]
    fn both_halves_hold_for_several_windows(
        limits in limits(),
        steps in prop::collection::vec(calls(), 1..150),
    ) {
        let mut world = World::new(limits);
        for step in steps {
            world.take(step)?;
        }
    }

    #[test]
    fn both_halves_hold_when_clocks_jump_limits_change_and_cells_are_shed(
        limits in limits(),
        steps in prop::collection::vec(unsteady(), 1..150),
    ) {
        let mut world = World::new(limits);
        for step in steps {
            world.take(step)?;
        }
    }

    #[test]
    fn a_window_in_constant_use_admits_its_limit_and_no_more(limit in limit()) {
        let mut exact = Exact::new(LimitName::Minute, limit);
        let mut cell = Cell::new(windows(limit));
        let (gap, units) = (200_003, limit.div_ceil(250).max(1));
        for at in (0..1_000).map(|n| n * gap) {
            match call(&mut cell, at, units) {
                Ok(_) => {
                    prop_assert!(!exact.must_refuse(at, units));
                    exact.admitted.push((at, units));
                }
                Err(_) => prop_assert!(exact.may_refuse(at, units)),
            }
        }
    }

    #[test]
    fn a_rebuilt_cell_decides_as_the_one_that_lived(
        limit in limit(),
        steps in prop::collection::vec(calls(), 1..150),
    ) {
        let (mut lived, mut rebuilt, mut now) = (Cell::new(windows(limit)), Cell::new(windows(limit)), 0);
        for step in steps {
            let Step::Call { gap, units } = step else { continue };
            now += gap;
            if call(&mut lived, now, units).is_ok() {
                rebuilt.record(Timestamp(now), units);
            }
        }
        for later in [0, 1, 937_500, 30 * SECOND, 61 * SECOND] {
            let shown = |cell: &mut Cell| {
                let now = Timestamp(now + later);
                standings(&mut alone(cell), ask(0, 0).period, now).tightest()
            };
            prop_assert_eq!(shown(&mut lived), shown(&mut rebuilt));
        }
    }

    #[test]
    fn a_rebuilt_cell_that_holds_more_than_its_limit_admits_nothing_until_it_fits(
        limit in limit(),
        steps in prop::collection::vec(calls(), 1..60),
    ) {
        let mut exact = Exact::new(LimitName::Minute, limit);
        let (mut cell, mut now) = (Cell::new(windows(limit)), 0);
        exact.reach = exact.length / BUCKETS * (BUCKETS + 1);
        for (index, step) in steps.into_iter().enumerate() {
            let Step::Call { gap, units } = step else { continue };
            now += gap % (5 * SECOND);
            if index % 2 == 0 {
                cell.record(Timestamp(now), units);
                exact.admitted.push((now, units));
            } else if call(&mut cell, now, units).is_ok() {
                prop_assert!(!exact.must_refuse(now, units));
                exact.admitted.push((now, units));
            } else {
                prop_assert!(exact.may_refuse(now, units));
            }
        }
    }
}
