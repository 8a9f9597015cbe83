"""What running the models takes: energy, money per generated minute, replicas for a waiting time."""
