-- A small shop: 100,000 customers in ten cities and 100,000 orders over 52 weeks. The numbers come from arithmetic, not from
-- chance, so that every installation holds the same rows.
CREATE TABLE customers (
    id INT NOT NULL PRIMARY KEY,
    name VARCHAR(40) NOT NULL,
    city VARCHAR(20) NOT NULL,
    joined DATE NOT NULL
);

INSERT INTO customers
SELECT seq,
       CONCAT('customer ', seq),
       ELT(1 + (seq * 7919) % 10, 'Taipei', 'Paris', 'Lima', 'Oslo', 'Accra', 'Quito', 'Osaka', 'Turin', 'Perth', 'Cairo'),
       DATE_ADD('2020-01-01', INTERVAL (seq * 31) % 1800 DAY)
FROM seq_1_to_100000;

CREATE TABLE orders (
    id INT NOT NULL PRIMARY KEY,
    customer_id INT NOT NULL,
    product_id INT NOT NULL,
    city VARCHAR(20) NOT NULL,
    week TINYINT NOT NULL,
    quantity INT NOT NULL,
    price DECIMAL(10, 2) NOT NULL
);

INSERT INTO orders
SELECT seq,
       1 + (seq * 104729) % 100000,
       1 + (seq * 6007) % 997,
       ELT(1 + (seq DIV 52) % 10, 'Taipei', 'Paris', 'Lima', 'Oslo', 'Accra', 'Quito', 'Osaka', 'Turin', 'Perth', 'Cairo'),
       1 + seq % 52,
       1 + seq % 5,
       1 + ((seq * 7907) % 50000) / 100
FROM seq_1_to_100000;

CREATE INDEX orders_by_city_and_week ON orders (city, week, product_id, quantity);
ANALYZE TABLE customers, orders;

-- Whoever asks for the server's counters needs no rights, and this account has none.
CREATE USER IF NOT EXISTS exporter@'%' WITH MAX_USER_CONNECTIONS 4;

-- Empty, for datasets that runs load: the samples of TPC-H.
CREATE DATABASE tpch;
GRANT ALL ON tpch.* TO crucible@'%';
