"""The fused policy: one network over both experts' blocks, market, account and regime; an ensemble over
seeds.

Enters: observations. Leaves: action probabilities, the mean over seeds.
"""

from collections.abc import Sequence
from typing import NamedTuple

import gymnasium
import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor

INPUT_CLIP = 5.0


class Reading(NamedTuple):
    """Fixed statistics of training bars, each with one value per input. (width,)"""

    center: NDArray[np.float32]
    scale: NDArray[np.float32]
    edge: NDArray[np.float32]  # weights of the teacher's edge on standardised inputs, 0 for the account's


class Standardise(BaseFeaturesExtractor):
    """Centre and scale inputs, so that a block of probabilities weighs as much as any other input, and add
    the teacher's edge as one more. (batch, width) -> (batch, width + 1)"""

    def __init__(self, observation_space: gymnasium.spaces.Box, reading: Reading) -> None:
        super().__init__(observation_space, features_dim=len(reading.center) + 1)
        self.register_buffer("center", torch.as_tensor(reading.center))
        self.register_buffer("scale", torch.as_tensor(reading.scale))
        self.register_buffer("edge", torch.as_tensor(reading.edge)[:, None])

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        inputs = (observations - self.center) / self.scale
        both = torch.cat([inputs, inputs @ self.edge], dim=-1)
        return torch.clamp(both, -INPUT_CLIP, INPUT_CLIP)


class Actor(torch.nn.Module):
    """One seed's trained network without its critic. (batch, width) -> (batch, actions)"""

    def __init__(self, policy: ActorCriticPolicy) -> None:
        super().__init__()
        self.extractor = policy.pi_features_extractor
        self.body = policy.mlp_extractor.policy_net
        self.head = policy.action_net

    def forward(self, observation: torch.Tensor) -> torch.Tensor:
        logits = self.head(self.body(self.extractor(observation)))
        return torch.softmax(logits, dim=-1)


class FusedPolicy(torch.nn.Module):
    """Mean of the seeds' action probabilities. (batch, width) -> (batch, actions)"""

    def __init__(self, actors: Sequence[Actor], width: int) -> None:
        super().__init__()
        self.actors = torch.nn.ModuleList(actors)
        self.width = width

    def forward(self, observation: torch.Tensor) -> torch.Tensor:
        return torch.stack([actor(observation) for actor in self.actors]).mean(dim=0)

    def probabilities(self, observations: NDArray[np.float32]) -> NDArray[np.float32]:
        """Action probabilities of numpy observations. (batch, width) -> (batch, actions)"""
        with torch.no_grad():
            result: NDArray[np.float32] = self(torch.as_tensor(observations)).numpy()
        return result

    def actions(self, observations: NDArray[np.float32]) -> NDArray[np.int64]:
        """The most probable action of each observation. (batch,)"""
        chosen: NDArray[np.int64] = self.probabilities(observations).argmax(axis=1)
        return chosen
