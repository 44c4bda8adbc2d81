use proptest::prelude::*;

use super::*;

fn take<T, E>(inbox: &Inbox<T, E>) -> Poll<Next<T, E>> {
    inbox.poll_take(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn items_come_in_order_and_then_the_end_once() {
    let wakers = &mut Vec::new();
    let inbox = Inbox::new(1000);
    inbox.push(10, wakers, |_| 1).unwrap();
    inbox.push(10, wakers, |_| 2).unwrap();
    inbox.finish("end");
    inbox.finish("another");
    assert_eq!(take(&inbox), Poll::Ready(Next::Item(1, 0)));
    assert_eq!(take(&inbox), Poll::Ready(Next::Item(2, 0)));
    assert_eq!(take(&inbox), Poll::Ready(Next::End("end")));
    assert_eq!(take(&inbox), Poll::Pending);
}

#[test]
fn the_limit_counts_bytes_and_taken_items_are_free_again() {
    let wakers = &mut Vec::new();
    let inbox = Inbox::<i32, ()>::new(2 * (100 + Inbox::<i32, ()>::OVERHEAD));
    inbox.push(100, wakers, |_| 1).unwrap();
    inbox.push(100, wakers, |_| 2).unwrap();
    assert_eq!(inbox.push(10, wakers, |_| 3), Err(LimitReached));
    assert_eq!(take(&inbox), Poll::Ready(Next::Item(1, 0)));
    inbox.push(100, wakers, |_| 3).unwrap();
    inbox.push_counted(100, 164, true, wakers, |_| 4).unwrap();
}

#[test]
fn owed_credit_is_given_back_when_it_is_much_or_old() {
    let wakers = &mut Vec::new();
    let inbox = Inbox::<_, ()>::new(1000);
    for i in 0..8 {
        inbox.push_counted(10, 1500, true, wakers, |_| i).unwrap();
    }
    for i in 0..5 {
        assert_eq!(take(&inbox), Poll::Ready(Next::Item(i, 0)));
    }
    assert_eq!(take(&inbox), Poll::Ready(Next::Item(5, 9000)));
    assert_eq!(take(&inbox), Poll::Ready(Next::Item(6, 0)));
    inbox.lock().owed_since = Instant::now().checked_sub(OWED_FOR);
    assert_eq!(take(&inbox), Poll::Ready(Next::Item(7, 3000)));
}

fn next(inbox: &Inbox<u32, u32>, hand: &mut Hand<u32>, owed: &mut u64) -> Poll<Next<u32, u32>> {
    inbox.poll_next(&mut Context::from_waker(Waker::noop()), hand, owed)
}

#[derive(Clone, Debug)]
enum Step {
    /// Appends items of this length and cost, at once.
    Push {
        items: u32,
        bytes: usize,
        cost: u64,
        admitted: bool,
    },
    /// Appends several parts as one item, of this length and cost together.
    PushSeveral {
        several: usize,
        bytes: usize,
        cost: u64,
    },
    Take(u32),
    Lend(bool),
    /// Gives back the credit of waiting items before they are taken.
    GiveBack,
    Finish,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1..80u32, 0..20_000usize, 0..12_000u64, any::<bool>())
            .prop_map(|(items, bytes, cost, admitted)| {
                // Many small items, or a few large ones.
                let (bytes, cost) = if items > 4 { (bytes % 100, cost % 200) } else { (bytes, cost) };
                Step::Push { items, bytes, cost, admitted }
            }),
        2 => (2..20usize, 0..4_000usize, 0..HAND_COST)
            .prop_map(|(several, bytes, cost)| Step::PushSeveral { several, bytes, cost }),
        4 => (1..100u32).prop_map(Step::Take),
        1 => any::<bool>().prop_map(Step::Lend),
        1 => Just(Step::GiveBack),
        1 => Just(Step::Finish),
    ]
}

proptest! {
    /// A comparison with a plain list: each item comes once and in order, then one end; waiting items stay
    /// within the limit; credit is given back once, only for taken items or as a loan, and never much later.
    #[test]
    fn a_consumer_with_a_hand_takes_the_same_items_as_from_a_list(
        limit in 1_000..100_000usize,
        steps in proptest::collection::vec(step(), 1..60),
    ) {
        let overhead = Inbox::<u32, u32>::OVERHEAD;
        let budget = Arc::new(Budget::default());
        let (inbox, mut hand, mut wakers) = (Inbox::within(budget.clone(), limit), Hand::new(), Vec::new());
        let mut list: VecDeque<(u32, usize, u64)> = VecDeque::new();
        let (mut number, mut over, mut end) = (0, false, None);
        // The cost of all items that were taken or lent, and the credit that was given back.
        let (mut due, mut back) = (0, 0);
        let mut lending = None;
        for step in steps {
            match step {
                Step::Push { items, bytes, cost, admitted } => {
                    let mut filling = inbox.fill();
                    for _ in 0..items {
                        let waits: usize = list.iter().map(|(_, bytes, _)| bytes).sum();
                        let pushed = filling.push(bytes, cost, admitted, &mut wakers, |_| number);
                        let fits = waits + bytes + overhead <= limit;
                        match pushed {
                            _ if over => prop_assert_eq!(pushed, Ok(0)),
                            Ok(lent) => {
                                prop_assert!(fits || admitted);
                                prop_assert!(lent == 0 || (lent == cost && lending.is_some()));
                                list.push_back((number, bytes + overhead, cost - lent));
                                (due, back) = (due + lent, back + lent);
                            }
                            Err(LimitReached) => {
                                prop_assert!(!admitted && waits + bytes + overhead + limit / 4 > limit);
                            }
                        }
                        number += 1;
                    }
                }
                Step::PushSeveral { several, bytes, cost } => {
                    let mut filling = inbox.fill();
                    let waits: usize = list.iter().map(|(_, bytes, _)| bytes).sum();
                    let needed = bytes + several * overhead;
                    if filling.has_room_for_several(several, bytes) {
                        let lent = filling.push_several(several, bytes, cost, &mut wakers, || number);
                        let lent = lent.unwrap_or(u64::MAX);
                        if !over {
                            prop_assert!(needed <= limit / 4 && waits + needed <= limit);
                            prop_assert!(lent == 0 || (lent == cost && lending.is_some()));
                            list.push_back((number, needed, cost - lent));
                            (due, back) = (due + lent, back + lent);
                        }
                    }
                    number += 1;
                }
                Step::Take(items) => {
                    for _ in 0..items {
                        let taken = next(&inbox, &mut hand, &mut back);
                        match list.pop_front() {
                            Some((number, _, cost)) => {
                                prop_assert_eq!(taken, Poll::Ready(Next::Item(number, 0)));
                                due += cost;
                            }
                            None => match end.take() {
                                Some(end) => prop_assert_eq!(taken, Poll::Ready(Next::End(end))),
                                None => prop_assert_eq!(taken, Poll::Pending),
                            },
                        }
                        prop_assert!(back <= due);
                    }
                }
                Step::Lend(true) => lending = Some(inbox.lend()),
                Step::Lend(false) => lending = None,
                Step::GiveBack => {
                    let lent = inbox.owed();
                    due += lent;
                    back += lent;
                    // The items of the hand will be given back next.
                    let held = hand.items.len();
                    if lent > 0 || inbox.lock().bytes <= limit {
                        list.iter_mut().skip(held).for_each(|(_, _, cost)| *cost = 0);
                    }
                }
                Step::Finish => {
                    if !over {
                        (over, end) = (true, Some(number));
                    }
                    inbox.finish(number);
                }
            }
            prop_assert!(back <= due, "{back} was given back, and {due} was taken");
            prop_assert!(due - back <= OWED + HAND_COST, "{due} was taken, and only {back} was given back");
        }
        while let Poll::Ready(Next::Item(..)) = next(&inbox, &mut hand, &mut back) {}
        prop_assert_eq!((inbox.lock().bytes, hand.items.len()), (0, 0));
        prop_assert!(budget.take(LIMIT_OF_CALLS, LIMIT_OF_CALLS), "all of the budget has come back");
    }
}
