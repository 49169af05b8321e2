//! What a policy's conditions read, seen in its syntax tree.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "Cedar's tree is non-exhaustive, and only what is looked for here is named; each such arm says what else there is"
)]

use cedar_policy::pst::{BinaryOp, Clause, Expr, Literal, Var};
use model::BaseAction;

/// One thing that an expression does.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Sight {
    /// Reads a field of `context`.
    Field(String),
    /// Passes `context` on as a whole, so that what it reads cannot be seen.
    WholeContext,
    /// Asks whether a fact is in evidence.
    Fact(String),
    /// Names a base action other than at the right of `in`.
    BaseAction(BaseAction),
}

/// What the conditions of a policy do, each thing once.
pub(crate) fn sights(clauses: &[Clause]) -> Vec<Sight> {
    let mut all: Vec<_> = clauses.iter().flat_map(|clause| seen(body(clause))).collect();
    all.sort();
    all.dedup();
    all
}

/// The expression of a clause.
pub(crate) fn body(clause: &Clause) -> &Expr {
    match clause {
        Clause::When(expr) | Clause::Unless(expr) => expr,
    }
}

fn seen(expr: &Expr) -> Vec<Sight> {
    expr.reduce(
        &node,
        &|mut left, right| {
            left.extend(right);
            left
        },
        Vec::new(),
    )
}

/// What one node does with all below it; `None` where the nodes below are to be looked at one by one.
fn node(expr: &Expr) -> Option<Vec<Sight>> {
    match expr {
        Expr::GetAttr { expr, attr } if is_context(expr) => Some(vec![Sight::Field(attr.to_string())]),
        Expr::HasAttr { expr, attrs } if is_context(expr) => Some(vec![Sight::Field(attrs.head.to_string())]),
        Expr::Var(Var::Context) => Some(vec![Sight::WholeContext]),
        Expr::Literal(literal) => base_action(literal).map(|base| vec![Sight::BaseAction(base)]),
        Expr::BinaryOp { op: BinaryOp::In, left, right } if are_literals(right) => Some(seen(left)),
        Expr::Is { expr, in_expr: Some(right), .. } if are_literals(right) => Some(seen(expr)),
        Expr::BinaryOp { op: BinaryOp::Contains | BinaryOp::ContainsAll | BinaryOp::ContainsAny, left, right }
            if is_evidence(left) =>
        {
            let mut all = seen(left);
            all.extend(strings(right).into_iter().map(Sight::Fact));
            all.extend(seen(right));
            Some(all)
        }
        // `reduce` goes on to the parts of every other expression
        _ => None,
    }
}

fn is_context(expr: &Expr) -> bool {
    matches!(expr, Expr::Var(Var::Context))
}

fn is_evidence(expr: &Expr) -> bool {
    matches!(expr, Expr::GetAttr { expr, attr } if is_context(expr) && attr == "evidence")
}

fn are_literals(expr: &Expr) -> bool {
    match expr {
        Expr::Literal(_) => true,
        Expr::Set(members) => members.iter().all(|member| matches!(&**member, Expr::Literal(_))),
        // no other expression is a literal
        _ => false,
    }
}

fn strings(expr: &Expr) -> Vec<String> {
    match expr {
        Expr::Literal(Literal::String(text)) => vec![text.to_string()],
        Expr::Set(members) => members.iter().flat_map(|member| strings(member)).collect(),
        // no other expression is a literal string or a set of them
        _ => Vec::new(),
    }
}

fn base_action(literal: &Literal) -> Option<BaseAction> {
    match literal {
        Literal::EntityUID(uid) if uid.ty.to_string() == "Action" => uid.eid.parse().ok(),
        // no other literal names an action
        _ => None,
    }
}
