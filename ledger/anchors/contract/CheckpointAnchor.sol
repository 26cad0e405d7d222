// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// Keeps, for each writer and log, the largest checkpoint that the writer has anchored.
/// No owner, no upgrade, no registration, no funds: who may write under an address is whoever holds its key,
/// and what was written can only be followed by a larger tree that names it. docs/formats/anchor-evm.md
contract CheckpointAnchor {
    struct Head {
        bytes32 root;
        uint64 size;
        uint64 blockNumber;
    }

    mapping(address writer => mapping(bytes32 logId => Head)) private heads;

    /// previousBlock is that of the writer's event before this one for the log, 0 at first: the events are a list.
    event Anchored(
        address indexed writer, bytes32 indexed logId, uint64 size, bytes32 root, uint64 previousBlock
    );

    error NotThePreviousRoot(bytes32 kept);
    error NotGrowing(uint64 kept);

    /// logId: SHA-256 of the log's origin; previousRoot: the root kept before, zero at first.
    function anchor(bytes32 logId, uint64 size, bytes32 root, bytes32 previousRoot) external {
        Head storage kept = heads[msg.sender][logId];
        bytes32 keptRoot = kept.root;
        if (keptRoot != previousRoot) revert NotThePreviousRoot(keptRoot);
        uint64 keptSize = kept.size;
        if (size <= keptSize) revert NotGrowing(keptSize);
        uint64 keptBlock = kept.blockNumber;
        kept.root = root;
        kept.size = size;
        kept.blockNumber = uint64(block.number);
        emit Anchored(msg.sender, logId, size, root, keptBlock);
    }

    /// All zero where nothing was anchored.
    function head(address writer, bytes32 logId)
        external
        view
        returns (uint64 size, bytes32 root, uint64 blockNumber)
    {
        Head storage kept = heads[writer][logId];
        return (kept.size, kept.root, kept.blockNumber);
    }
}
