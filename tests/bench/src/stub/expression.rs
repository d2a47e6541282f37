//! The part of DynamoDB's expressions that the service uses, over items in the form in which they are sent.

use std::cmp::Ordering;

use serde_json::{Map, Value, json};

pub type Item = Map<String, Value>;

/// Why a request can't be understood: the stub lacks something, or the service sends nonsense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadExpression(pub String);

impl BadExpression {
    fn near(token: Option<&Token>) -> Self {
        Self(format!("an expression isn't understood near {token:?}"))
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    Sign(&'static str),
}

/// `ExpressionAttributeNames` and `ExpressionAttributeValues`.
#[derive(Clone, Copy, Debug)]
pub struct Names<'a> {
    pub names: &'a Value,
    pub values: &'a Value,
}

fn tokens(text: &str) -> Result<Vec<Token>, BadExpression> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let sign =
            ["<=", ">=", "<>", "=", "<", ">", "(", ")", ",", "+", "-"].into_iter().find(|sign| rest.starts_with(sign));
        let length = if let Some(sign) = sign {
            tokens.push(Token::Sign(sign));
            sign.len()
        } else {
            let is_part = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '#' | ':' | '.');
            let length = rest.find(|letter| !is_part(letter)).unwrap_or(rest.len());
            if length == 0 {
                return Err(BadExpression(format!("{first:?} in {text:?}")));
            }
            tokens.push(Token::Word(rest[..length].to_owned()));
            length
        };
        rest = rest[length..].trim_start();
    }
    Ok(tokens)
}

/// A condition, parsed.
#[derive(Clone, Debug)]
pub enum Condition {
    And(Box<Self>, Box<Self>),
    Or(Box<Self>, Box<Self>),
    Compare(Operand, &'static str, Operand),
    Between(Operand, Operand, Operand),
    Exists(String, bool),
    BeginsWith(Operand, Operand),
}

/// An attribute of the item, or a value of the request.
#[derive(Clone, Debug)]
pub enum Operand {
    Attribute(String),
    Value(Value),
}

impl Operand {
    fn of<'a>(&'a self, item: &'a Item) -> Option<&'a Value> {
        match self {
            Self::Attribute(name) => item.get(name),
            Self::Value(value) => Some(value),
        }
    }
}

struct Parser<'a> {
    tokens: std::iter::Peekable<std::vec::IntoIter<Token>>,
    names: Names<'a>,
}

impl<'a> Parser<'a> {
    fn new(text: &str, names: Names<'a>) -> Result<Self, BadExpression> {
        Ok(Self { tokens: tokens(text)?.into_iter().peekable(), names })
    }

    fn takes(&mut self, sign: &'static str) -> bool {
        self.tokens.next_if_eq(&Token::Sign(sign)).is_some()
    }

    fn takes_word(&mut self, word: &str) -> bool {
        let is_same = |token: &Token| matches!(token, Token::Word(found) if found.eq_ignore_ascii_case(word));
        self.tokens.next_if(is_same).is_some()
    }

    fn expect(&mut self, sign: &'static str) -> Result<(), BadExpression> {
        if self.takes(sign) { Ok(()) } else { Err(BadExpression::near(self.tokens.peek())) }
    }

    fn word(&mut self) -> Result<String, BadExpression> {
        match self.tokens.next() {
            Some(Token::Word(word)) => Ok(word),
            other => Err(BadExpression::near(other.as_ref())),
        }
    }

    fn name_of(&self, word: &str) -> Result<String, BadExpression> {
        if !word.starts_with('#') {
            return Ok(word.to_owned());
        }
        let name = self.names.names[word].as_str();
        name.map(ToOwned::to_owned).ok_or_else(|| BadExpression(format!("{word} has no name")))
    }

    fn attribute(&mut self) -> Result<String, BadExpression> {
        let word = self.word()?;
        self.name_of(&word)
    }

    fn operand(&mut self) -> Result<Operand, BadExpression> {
        let word = self.word()?;
        self.operand_of(&word)
    }

    fn operand_of(&self, word: &str) -> Result<Operand, BadExpression> {
        if !word.starts_with(':') {
            return self.name_of(word).map(Operand::Attribute);
        }
        let value = self.names.values.get(word);
        value.cloned().map(Operand::Value).ok_or_else(|| BadExpression(format!("{word} has no value")))
    }

    fn any_of(&mut self) -> Result<Condition, BadExpression> {
        let mut left = self.all_of()?;
        while self.takes_word("OR") {
            left = Condition::Or(Box::new(left), Box::new(self.all_of()?));
        }
        Ok(left)
    }

    fn all_of(&mut self) -> Result<Condition, BadExpression> {
        let mut left = self.one()?;
        while self.takes_word("AND") {
            left = Condition::And(Box::new(left), Box::new(self.one()?));
        }
        Ok(left)
    }

    fn one(&mut self) -> Result<Condition, BadExpression> {
        if self.takes("(") {
            let inner = self.any_of()?;
            self.expect(")")?;
            return Ok(inner);
        }
        let word = self.word()?;
        if self.takes("(") {
            let condition = match word.as_str() {
                "attribute_exists" => Condition::Exists(self.attribute()?, true),
                "attribute_not_exists" => Condition::Exists(self.attribute()?, false),
                "begins_with" => {
                    let attribute = self.operand()?;
                    self.expect(",")?;
                    Condition::BeginsWith(attribute, self.operand()?)
                }
                other => return Err(BadExpression(format!("the function {other}"))),
            };
            self.expect(")")?;
            return Ok(condition);
        }
        let left = self.operand_of(&word)?;
        if self.takes_word("BETWEEN") {
            let low = self.operand()?;
            if !self.takes_word("AND") {
                return Err(BadExpression::near(self.tokens.peek()));
            }
            return Ok(Condition::Between(left, low, self.operand()?));
        }
        match self.tokens.next() {
            Some(Token::Sign(sign @ ("=" | "<>" | "<" | "<=" | ">" | ">="))) => {
                Ok(Condition::Compare(left, sign, self.operand()?))
            }
            other => Err(BadExpression::near(other.as_ref())),
        }
    }

    fn end(&mut self) -> Result<(), BadExpression> {
        match self.tokens.next() {
            None => Ok(()),
            other => Err(BadExpression::near(other.as_ref())),
        }
    }
}

impl Condition {
    pub fn parse(text: &str, names: Names<'_>) -> Result<Self, BadExpression> {
        let mut parser = Parser::new(text, names)?;
        let condition = parser.any_of()?;
        parser.end()?;
        Ok(condition)
    }

    pub fn holds(&self, item: &Item) -> bool {
        let compare = |left: &Operand, right: &Operand| order(left.of(item)?, right.of(item)?);
        match self {
            Self::And(left, right) => left.holds(item) && right.holds(item),
            Self::Or(left, right) => left.holds(item) || right.holds(item),
            Self::Exists(name, wanted) => item.contains_key(name) == *wanted,
            Self::Compare(left, sign, right) => compare(left, right).is_some_and(|order| match *sign {
                "=" => order.is_eq(),
                "<>" => order.is_ne(),
                "<" => order.is_lt(),
                "<=" => order.is_le(),
                ">" => order.is_gt(),
                _ => order.is_ge(),
            }),
            Self::Between(value, low, high) => {
                compare(value, low).is_some_and(Ordering::is_ge) && compare(value, high).is_some_and(Ordering::is_le)
            }
            Self::BeginsWith(value, prefix) => {
                let text = |operand: &Operand| operand.of(item)?.get("S")?.as_str().map(ToOwned::to_owned);
                matches!((text(value), text(prefix)), (Some(text), Some(prefix)) if text.starts_with(&prefix))
            }
        }
    }

    /// The value that a key condition demands of an attribute.
    pub fn equal_to(&self, name: &str) -> Option<String> {
        match self {
            Self::And(left, right) => left.equal_to(name).or_else(|| right.equal_to(name)),
            Self::Compare(Operand::Attribute(found), "=", Operand::Value(value)) if found == name => {
                value["S"].as_str().map(ToOwned::to_owned)
            }
            _ => None,
        }
    }

    /// The lowest and the highest value, inclusive, that a key condition lets an attribute have. Only what the service asks
    /// the events table for.
    pub fn range_of(&self, name: &str) -> (Option<String>, Option<String>) {
        let text = |value: &Value| value["S"].as_str().map(ToOwned::to_owned);
        match self {
            Self::And(left, right) => {
                let (left, right) = (left.range_of(name), right.range_of(name));
                (left.0.or(right.0), left.1.or(right.1))
            }
            Self::Between(Operand::Attribute(found), Operand::Value(low), Operand::Value(high)) if found == name => {
                (text(low), text(high))
            }
            Self::Compare(Operand::Attribute(found), ">=", Operand::Value(low)) if found == name => (text(low), None),
            _ => (None, None),
        }
    }
}

/// Numbers by value, all else by its text. `None`: they are of two kinds.
fn order(left: &Value, right: &Value) -> Option<Ordering> {
    let (kind, left) = left.as_object()?.iter().next()?;
    let right = right.get(kind)?;
    match (kind.as_str(), left.as_str(), right.as_str()) {
        ("N", Some(left), Some(right)) => left.parse::<i128>().ok()?.partial_cmp(&right.parse::<i128>().ok()?),
        (_, Some(left), Some(right)) => Some(left.cmp(right)),
        _ => (left == right).then_some(Ordering::Equal),
    }
}

/// Applies an update expression.
pub fn update(text: &str, names: Names<'_>, item: &mut Item) -> Result<(), BadExpression> {
    let mut parser = Parser::new(text, names)?;
    let before = item.clone();
    while let Some(token) = parser.tokens.next() {
        let Token::Word(clause) = &token else { return Err(BadExpression::near(Some(&token))) };
        loop {
            let name = parser.attribute()?;
            match clause.to_ascii_uppercase().as_str() {
                "SET" => {
                    parser.expect("=")?;
                    let value = sum(&mut parser, &before)?;
                    item.insert(name, value);
                }
                "REMOVE" => {
                    item.remove(&name);
                }
                "ADD" => {
                    let value = parser.operand()?;
                    let zero = json!({"N": "0"});
                    let sum = add(before.get(&name).unwrap_or(&zero), value.of(&before), 1)?;
                    item.insert(name, sum);
                }
                other => return Err(BadExpression(format!("the clause {other}"))),
            }
            if !parser.takes(",") {
                break;
            }
        }
    }
    Ok(())
}

fn sum(parser: &mut Parser<'_>, before: &Item) -> Result<Value, BadExpression> {
    let left = term(parser, before)?;
    for (sign, factor) in [("+", 1), ("-", -1)] {
        if parser.takes(sign) {
            let right = term(parser, before)?;
            return add(&left, Some(&right), factor);
        }
    }
    Ok(left)
}

fn term(parser: &mut Parser<'_>, before: &Item) -> Result<Value, BadExpression> {
    let word = parser.word()?;
    if word == "if_not_exists" {
        parser.expect("(")?;
        let name = parser.attribute()?;
        parser.expect(",")?;
        let otherwise = parser.operand()?;
        parser.expect(")")?;
        let value = before.get(&name).or_else(|| otherwise.of(before));
        return value.cloned().ok_or_else(|| BadExpression(format!("{name} has no value")));
    }
    let operand = parser.operand_of(&word)?;
    operand.of(before).cloned().ok_or_else(|| BadExpression(format!("{word} has no value")))
}

fn add(left: &Value, right: Option<&Value>, factor: i128) -> Result<Value, BadExpression> {
    let number = |value: &Value| value["N"].as_str().and_then(|digits| digits.parse::<i128>().ok());
    match (number(left), right.and_then(number)) {
        (Some(left), Some(right)) => Ok(json!({"N": (left + factor * right).to_string()})),
        _ => Err(BadExpression("a sum of what are no numbers".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item() -> Item {
        json!({"a": {"N": "9"}, "b": {"S": "text"}}).as_object().unwrap().clone()
    }

    #[test]
    fn conditions() {
        let values = json!({":ten": {"N": "10"}, ":text": {"S": "text"}, ":te": {"S": "te"}});
        let names = json!({"#a": "a"});
        let names = Names { names: &names, values: &values };
        for (text, expected) in [
            ("#a < :ten", true),
            ("#a >= :ten", false),
            ("b = :text AND attribute_not_exists(c)", true),
            ("attribute_exists(c) OR b <> :text", false),
            ("attribute_exists(c) OR (attribute_exists(b) AND begins_with(b, :te))", true),
            ("b BETWEEN :te AND :text", true),
            ("b < :ten", false),
            ("c = :ten", false),
        ] {
            assert_eq!(Condition::parse(text, names).unwrap().holds(&item()), expected, "{text}");
        }
        for bad in ["", "a", "a < :ten AND", "a ~ :ten", "size(a) < :ten", "a < :none", "(a < :ten"] {
            assert!(Condition::parse(bad, names).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_keys_of_a_query() {
        let values = json!({":p": {"S": "acme#00"}, ":first": {"S": "1"}, ":last": {"S": "2"}});
        let names = Names { names: &Value::Null, values: &values };
        let between = Condition::parse("p = :p AND id BETWEEN :first AND :last", names).unwrap();
        assert_eq!(between.equal_to("p").as_deref(), Some("acme#00"));
        assert_eq!(between.range_of("id"), (Some("1".to_owned()), Some("2".to_owned())));
        let from = Condition::parse("p = :p AND id >= :first", names).unwrap();
        assert_eq!(from.range_of("id"), (Some("1".to_owned()), None));
    }

    #[test]
    fn updates() {
        let values = json!({":one": {"N": "1"}, ":new": {"S": "new"}});
        let names = json!({"#b": "b"});
        let names = Names { names: &names, values: &values };
        let mut changed = item();
        update("SET a = if_not_exists(a, :one) + :one, c = if_not_exists(c, :new) REMOVE #b", names, &mut changed)
            .unwrap();
        assert_eq!(Value::Object(changed), json!({"a": {"N": "10"}, "c": {"S": "new"}}));
        let mut added = item();
        update("ADD a :one, d :one SET b = :new", names, &mut added).unwrap();
        assert_eq!(Value::Object(added), json!({"a": {"N": "10"}, "b": {"S": "new"}, "d": {"N": "1"}}));
        assert!(update("SET b = b + :one", names, &mut item()).is_err());
        assert!(update("DELETE b :one", names, &mut item()).is_err());
    }
}
