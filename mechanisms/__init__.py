"""How a contract is carried out: training, verification, rewards, aggregation, delivery."""
