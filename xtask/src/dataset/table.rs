//! The tables of TPC-H: their columns, and their rows as the generator makes them.

use std::borrow::Cow;

use anyhow::Result;
use clap::ValueEnum;
use tpchgen::dates::TPCHDate;
use tpchgen::generators::{
    Customer, CustomerGenerator, LineItem, LineItemGenerator, Nation, NationGenerator, Order, OrderGenerator, Part, PartGenerator, PartSupp, PartSuppGenerator,
    Region, RegionGenerator, Supplier, SupplierGenerator,
};

use super::Scale;

/// A table of the specification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Table {
    /// Five regions
    Region,
    /// Twenty-five nations
    Nation,
    /// 10 000 suppliers for each unit of scale
    Supplier,
    /// 150 000 customers for each unit of scale
    Customer,
    /// 200 000 parts for each unit of scale
    Part,
    /// Four suppliers of each part
    Partsupp,
    /// 1 500 000 orders for each unit of scale
    Orders,
    /// One to seven line items of each order
    Lineitem,
}

/// A column: its name, and what its values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    pub name: &'static str,
    pub kind: Kind,
}

/// What the values of a column are. The specification's fixed and variable texts are one kind here, as files know no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A key: a whole number of 64 bits.
    Key,
    /// A whole number of 32 bits.
    Whole,
    /// `decimal(15,2)`.
    Money,
    Text,
    Date,
}

/// A value of a row.
#[derive(Clone, Debug)]
pub enum Field<'a> {
    Key(i64),
    Whole(i32),
    /// In hundredths.
    Money(i64),
    Text(Cow<'a, str>),
    Date(TPCHDate),
}

/// What takes rows.
pub type Each<'a> = &'a mut dyn FnMut(&[Field<'_>]) -> Result<()>;

const fn column(name: &'static str, kind: Kind) -> Column {
    Column { name, kind }
}

const REGION: [Column; 3] = [column("r_regionkey", Kind::Key), column("r_name", Kind::Text), column("r_comment", Kind::Text)];

const NATION: [Column; 4] = [column("n_nationkey", Kind::Key), column("n_name", Kind::Text), column("n_regionkey", Kind::Key), column("n_comment", Kind::Text)];

const SUPPLIER: [Column; 7] = [
    column("s_suppkey", Kind::Key),
    column("s_name", Kind::Text),
    column("s_address", Kind::Text),
    column("s_nationkey", Kind::Key),
    column("s_phone", Kind::Text),
    column("s_acctbal", Kind::Money),
    column("s_comment", Kind::Text),
];

const CUSTOMER: [Column; 8] = [
    column("c_custkey", Kind::Key),
    column("c_name", Kind::Text),
    column("c_address", Kind::Text),
    column("c_nationkey", Kind::Key),
    column("c_phone", Kind::Text),
    column("c_acctbal", Kind::Money),
    column("c_mktsegment", Kind::Text),
    column("c_comment", Kind::Text),
];

const PART: [Column; 9] = [
    column("p_partkey", Kind::Key),
    column("p_name", Kind::Text),
    column("p_mfgr", Kind::Text),
    column("p_brand", Kind::Text),
    column("p_type", Kind::Text),
    column("p_size", Kind::Whole),
    column("p_container", Kind::Text),
    column("p_retailprice", Kind::Money),
    column("p_comment", Kind::Text),
];

const PARTSUPP: [Column; 5] = [
    column("ps_partkey", Kind::Key),
    column("ps_suppkey", Kind::Key),
    column("ps_availqty", Kind::Whole),
    column("ps_supplycost", Kind::Money),
    column("ps_comment", Kind::Text),
];

const ORDERS: [Column; 9] = [
    column("o_orderkey", Kind::Key),
    column("o_custkey", Kind::Key),
    column("o_orderstatus", Kind::Text),
    column("o_totalprice", Kind::Money),
    column("o_orderdate", Kind::Date),
    column("o_orderpriority", Kind::Text),
    column("o_clerk", Kind::Text),
    column("o_shippriority", Kind::Whole),
    column("o_comment", Kind::Text),
];

const LINEITEM: [Column; 16] = [
    column("l_orderkey", Kind::Key),
    column("l_partkey", Kind::Key),
    column("l_suppkey", Kind::Key),
    column("l_linenumber", Kind::Whole),
    column("l_quantity", Kind::Money),
    column("l_extendedprice", Kind::Money),
    column("l_discount", Kind::Money),
    column("l_tax", Kind::Money),
    column("l_returnflag", Kind::Text),
    column("l_linestatus", Kind::Text),
    column("l_shipdate", Kind::Date),
    column("l_commitdate", Kind::Date),
    column("l_receiptdate", Kind::Date),
    column("l_shipinstruct", Kind::Text),
    column("l_shipmode", Kind::Text),
    column("l_comment", Kind::Text),
];

impl Table {
    /// The name as the specification has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Region => "region",
            Self::Nation => "nation",
            Self::Supplier => "supplier",
            Self::Customer => "customer",
            Self::Part => "part",
            Self::Partsupp => "partsupp",
            Self::Orders => "orders",
            Self::Lineitem => "lineitem",
        }
    }

    pub const fn columns(self) -> &'static [Column] {
        match self {
            Self::Region => &REGION,
            Self::Nation => &NATION,
            Self::Supplier => &SUPPLIER,
            Self::Customer => &CUSTOMER,
            Self::Part => &PART,
            Self::Partsupp => &PARTSUPP,
            Self::Orders => &ORDERS,
            Self::Lineitem => &LINEITEM,
        }
    }

    /// Into how many files a table is cut. The two tables that do not grow are never cut.
    pub fn parts(self, scale: Scale) -> i32 {
        let Scale { factor, rows_per_file } = scale;
        let rows = match self {
            Self::Region | Self::Nation => return 1,
            Self::Supplier => 10_000.0,
            Self::Customer => 150_000.0,
            Self::Part => 200_000.0,
            Self::Partsupp => 800_000.0,
            Self::Orders => 1_500_000.0,
            Self::Lineitem => 6_000_000.0,
        };
        // The generator cuts line items by their orders and suppliers of parts by their parts: no more parts than either has.
        let most = if matches!(self, Self::Partsupp | Self::Lineitem) { rows / 4.0 } else { rows };
        #[expect(clippy::cast_possible_truncation, reason = "between one and what the scale's own bounds allow")]
        let parts = (rows * factor / f64::from(rows_per_file)).ceil().clamp(1.0, most * factor) as i32;
        parts
    }

    /// Gives every row of one of a table's parts, from 1, to `each`.
    pub fn rows(self, scale: f64, part: i32, parts: i32, each: Each<'_>) -> Result<()> {
        match self {
            Self::Region => RegionGenerator::new(scale, part, parts).iter().try_for_each(|row| region(&row, each)),
            Self::Nation => NationGenerator::new(scale, part, parts).iter().try_for_each(|row| nation(&row, each)),
            Self::Supplier => SupplierGenerator::new(scale, part, parts).iter().try_for_each(|row| supplier(&row, each)),
            Self::Customer => CustomerGenerator::new(scale, part, parts).iter().try_for_each(|row| customer(&row, each)),
            Self::Part => PartGenerator::new(scale, part, parts).iter().try_for_each(|row| part_row(&row, each)),
            Self::Partsupp => {
                let mut suppliers = Vec::with_capacity(4);
                let mut of = 0;
                PartSuppGenerator::new(scale, part, parts).iter().try_for_each(|row| {
                    if row.ps_partkey != of {
                        (of, suppliers) = (row.ps_partkey, Vec::with_capacity(4));
                    }
                    // Below scale 0.01 the specification's formula gives some parts the same supplier twice, which its own key forbids.
                    if suppliers.contains(&row.ps_suppkey) {
                        return Ok(());
                    }
                    suppliers.push(row.ps_suppkey);
                    partsupp(&row, each)
                })
            }
            Self::Orders => OrderGenerator::new(scale, part, parts).iter().try_for_each(|row| order(&row, each)),
            Self::Lineitem => LineItemGenerator::new(scale, part, parts).iter().try_for_each(|row| line_item(&row, each)),
        }
    }
}

const fn text(text: &str) -> Field<'_> {
    Field::Text(Cow::Borrowed(text))
}

fn shown(value: &impl ToString) -> Field<'static> {
    Field::Text(Cow::Owned(value.to_string()))
}

fn region(row: &Region<'_>, each: Each<'_>) -> Result<()> {
    let Region { r_regionkey, r_name, r_comment } = row;
    each(&[Field::Key(*r_regionkey), text(r_name), text(r_comment)])
}

fn nation(row: &Nation<'_>, each: Each<'_>) -> Result<()> {
    let Nation { n_nationkey, n_name, n_regionkey, n_comment } = row;
    each(&[Field::Key(*n_nationkey), text(n_name), Field::Key(*n_regionkey), text(n_comment)])
}

fn supplier(row: &Supplier, each: Each<'_>) -> Result<()> {
    let Supplier { s_suppkey, s_name, s_address, s_nationkey, s_phone, s_acctbal, s_comment } = row;
    each(&[
        Field::Key(*s_suppkey),
        shown(s_name),
        shown(s_address),
        Field::Key(*s_nationkey),
        shown(s_phone),
        Field::Money(s_acctbal.into_inner()),
        text(s_comment),
    ])
}

fn customer(row: &Customer<'_>, each: Each<'_>) -> Result<()> {
    let Customer { c_custkey, c_name, c_address, c_nationkey, c_phone, c_acctbal, c_mktsegment, c_comment } = row;
    each(&[
        Field::Key(*c_custkey),
        shown(c_name),
        shown(c_address),
        Field::Key(*c_nationkey),
        shown(c_phone),
        Field::Money(c_acctbal.into_inner()),
        text(c_mktsegment),
        text(c_comment),
    ])
}

fn part_row(row: &Part<'_>, each: Each<'_>) -> Result<()> {
    let Part { p_partkey, p_name, p_mfgr, p_brand, p_type, p_size, p_container, p_retailprice, p_comment } = row;
    each(&[
        Field::Key(*p_partkey),
        shown(p_name),
        shown(p_mfgr),
        shown(p_brand),
        text(p_type),
        Field::Whole(*p_size),
        text(p_container),
        Field::Money(p_retailprice.into_inner()),
        text(p_comment),
    ])
}

fn partsupp(row: &PartSupp<'_>, each: Each<'_>) -> Result<()> {
    let PartSupp { ps_partkey, ps_suppkey, ps_availqty, ps_supplycost, ps_comment } = row;
    each(&[Field::Key(*ps_partkey), Field::Key(*ps_suppkey), Field::Whole(*ps_availqty), Field::Money(ps_supplycost.into_inner()), text(ps_comment)])
}

fn order(row: &Order<'_>, each: Each<'_>) -> Result<()> {
    let Order { o_orderkey, o_custkey, o_orderstatus, o_totalprice, o_orderdate, o_orderpriority, o_clerk, o_shippriority, o_comment } = row;
    each(&[
        Field::Key(*o_orderkey),
        Field::Key(*o_custkey),
        text(o_orderstatus.as_str()),
        Field::Money(o_totalprice.into_inner()),
        Field::Date(*o_orderdate),
        text(o_orderpriority),
        shown(o_clerk),
        Field::Whole(*o_shippriority),
        text(o_comment),
    ])
}

fn line_item(row: &LineItem<'_>, each: Each<'_>) -> Result<()> {
    let LineItem {
        l_orderkey,
        l_partkey,
        l_suppkey,
        l_linenumber,
        l_quantity,
        l_extendedprice,
        l_discount,
        l_tax,
        l_returnflag,
        l_linestatus,
        l_shipdate,
        l_commitdate,
        l_receiptdate,
        l_shipinstruct,
        l_shipmode,
        l_comment,
    } = row;
    each(&[
        Field::Key(*l_orderkey),
        Field::Key(*l_partkey),
        Field::Key(*l_suppkey),
        Field::Whole(*l_linenumber),
        Field::Money(*l_quantity * 100),
        Field::Money(l_extendedprice.into_inner()),
        Field::Money(l_discount.into_inner()),
        Field::Money(l_tax.into_inner()),
        text(l_returnflag),
        text(l_linestatus),
        Field::Date(*l_shipdate),
        Field::Date(*l_commitdate),
        Field::Date(*l_receiptdate),
        text(l_shipinstruct),
        text(l_shipmode),
        text(l_comment),
    ])
}
