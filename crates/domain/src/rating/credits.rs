//! Prepaid credits: which of them pay how much of which line.
//!
//! Lines are settled in their order. Credits are used by priority (lowest number first), then by
//! expiry (soonest first, those without expiry last), then in the order given. Credits never pay
//! more than the invoice's total.
//!
//! The order of use is that of Stripe's billing credits (docs.stripe.com, billing credits); credits go
//! line by line as in openmeterio/openmeter, `rating/service/mutator/credits_test.go`.

use crate::money::{Minor, MoneyError};
use crate::time::Timestamp;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credit {
    pub remaining: Minor,
    /// Lower numbers are used first.
    pub priority: u32,
    /// From this instant on the credit pays nothing.
    pub expires_at: Option<Timestamp>,
}

/// What credits paid: for each line in order, and from each credit in the order given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    pub line_credits: Vec<Minor>,
    pub used: Vec<Minor>,
    /// What is left to pay.
    pub due: Minor,
}

/// Settles `amounts` (lines, in order) from `credits` as they stand at `at`.
pub fn settle(amounts: &[Minor], credits: &[Credit], at: Timestamp) -> Result<Settled, MoneyError> {
    let total = Minor::checked_sum(amounts.iter().copied())?;
    let mut open = total.max(Minor::ZERO).0;
    let mut used = vec![Minor::ZERO; credits.len()];
    let mut line_credits = Vec::with_capacity(amounts.len());
    let order = order_of_use(credits, at);
    for amount in amounts {
        let mut paid = 0_i64;
        for &index in &order {
            let left = credits[index].remaining.0.saturating_sub(used[index].0).max(0);
            let part = left.min((amount.0 - paid).max(0)).min(open);
            used[index].0 += part;
            paid += part;
            open -= part;
        }
        line_credits.push(Minor(paid));
    }
    let due = total.checked_sub(Minor::checked_sum(line_credits.iter().copied())?)?;
    Ok(Settled { line_credits, used, due })
}

fn order_of_use(credits: &[Credit], at: Timestamp) -> Vec<usize> {
    let live = |index: &usize| credits[*index].expires_at.is_none_or(|expiry| at < expiry);
    let mut order: Vec<usize> = (0..credits.len()).filter(live).collect();
    order.sort_by_key(|index| {
        let credit = &credits[*index];
        (credit.priority, credit.expires_at.is_none(), credit.expires_at)
    });
    order
}

#[cfg(test)]
mod tests;
